#pragma once
// A sharded program with the duration of each operation on this machine, and the decision which collectives
// must be simulated by their chunks.

#include "sim/engine/collective_plan.hpp"
#include "sim/engine/trace.hpp"
#include "sim/sharding/sharded_program.hpp"

#include <vector>

namespace podsim {

struct TimedOperation {
  Ticks duration = 0; // of a compute operation, or of a collective as one event
  Plan plan;          // of a collective
  bool chunked = false;
};
using TimedProgram = std::vector<std::vector<TimedOperation>>; // by block and operation

// With Granularity::automatic a collective goes by chunks if it may meet another on a link: both use the same torus
// axis and neither must precede the other, or it shares links with itself.
TimedProgram time_program(const ShardedProgram& program, const Machine& machine, const Placement& placement,
                          MultiAxis multi_axis, Granularity granularity);

// How many activities one device takes in a step, for an estimate of the time that a simulation will need.
double activities_per_device(const ShardedProgram& program, const TimedProgram& timed);

} // namespace podsim
