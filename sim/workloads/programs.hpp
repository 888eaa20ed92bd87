#pragma once
// What a workload is made into: a program, and what each device of a mesh does of it, with its schedule.

#include "sim/program/program.hpp"
#include "sim/sharding/sharded_program.hpp"

namespace podsim {

struct Programs {
  Program program; // empty where there is only the other
  ShardedProgram sharded;
};

} // namespace podsim
