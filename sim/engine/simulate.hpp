#pragma once
// A sharded program on a machine -> what happened. SimGrid allows one engine a process, so each simulation
// runs in a forked child and hands its trace back through a pipe; call it as often as you like.

#include "sim/engine/timed_program.hpp"
#include "sim/engine/trace.hpp"

#include <functional>
#include <string>

namespace podsim {

struct SimulationOptions {
  Granularity granularity = Granularity::automatic;
  bool explicit_devices   = false;               // every device for itself instead of one a class
  bool skip_repetitions   = true;                // see recurrence.hpp
  std::function<void(double fraction)> progress; // called in the child
  bool in_process = false;                       // without a child: for a process that simulates once and ends
};

// Throws Interrupted if a SIGINT ended the child, OutOfResources where there can be none, std::logic_error if it
// failed. Where the fold in time cannot go on, it simulates in full; `in_process` it cannot, and throws FoldStopped
// (sim/engine/executor.hpp).
Trace simulate(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
               const Placement& placement, const SimulationOptions& options);

struct Interrupted {};

// How long a simulation of so many classes will take if nothing repeats, from the activities of each and what SimGrid
// costs for them when that many are under way (measured: 2 us, and 4.4 ns more for each).
Seconds simulation_estimate(std::int64_t classes, const ShardedProgram& program, const TimedProgram& timed);

} // namespace podsim
