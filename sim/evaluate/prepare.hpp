#pragma once
// A scenario made ready to simulate: its program, and what each device has of it.

#include "scenarios/scenario.hpp"
#include "sim/engine/timed_program.hpp"
#include "sim/engine/trace.hpp"
#include "sim/metrics/memory.hpp"

namespace podsim {

struct Prepared {
  Scenario scenario;
  Program program;
  ShardedProgram sharded;
};

Prepared prepare(Scenario scenario);

// Of all the devices of a chip: they are alike, but where stages divide them; and what the chip has.
Memory memory_of_chip(const Prepared& prepared);
Bytes capacity_of(const Chip& chip);

TimedProgram timed_program(const Prepared& prepared, Granularity granularity);

} // namespace podsim
