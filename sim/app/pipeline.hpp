#pragma once
// The way through podsim, each stage's result a plain value:
// scenario file -> Scenario -> Program -> ShardedProgram -> Trace -> Metrics -> report.

#include "reports/result.hpp"
#include "scenarios/scenario.hpp"

#include <functional>
#include <string>

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

// About the time of a step in which nothing overlaps; and what the simulator's clock can hold of it (2^53 ticks,
// sim/engine/ticks.hpp). A step beyond that is the work of a slip in the input.
Seconds serial_time(const Prepared& prepared);
constexpr Seconds longest_step{8192};

// What a result says of a scenario before anything is simulated, memory included.
Result describe(const Prepared& prepared);

// Told before what will take long: what it is, and about how long.
using Announce = std::function<void(const std::string& what, Seconds time)>;

// Simulates, measures, and completes the description; with faults, also the healthy machine and each fault alone. A
// scenario that does not fit in memory is not simulated: its status says so.
Result run(const Prepared& prepared, const SimulationOptions& options, const Announce& announce = {});

} // namespace podsim
