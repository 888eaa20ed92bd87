#pragma once
// What a workload is made into: a program, and what each device of a mesh does of it, with its schedule.

#include "sim/program/program.hpp"
#include "sim/sharding/sharded_program.hpp"

namespace podsim {

struct Programs {
  Program program; // of a training step; of a micro-benchmark empty
  ShardedProgram sharded;
};

} // namespace podsim
