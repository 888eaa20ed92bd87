#pragma once
// A sharded program on a machine -> what happened.

#include "sim/engine/executor.hpp"
#include "sim/engine/timed_program.hpp"
#include "sim/engine/trace.hpp"

#include <functional>
#include <string>

namespace podsim {

// What runs a replay to its end.
struct Engine {
  std::string name;
  std::function<Trace(const Replay&)> execute;
  bool reckons = false; // what needs no events (stage_recurrence.hpp)
};
Engine heap_engine(); // on a clock in this process, and reckons; sim/jobs/engines.hpp has SimGrid

struct SimulationOptions {
  Granularity granularity = Granularity::automatic;
  bool explicit_devices   = false;               // every device for itself instead of one a class
  bool skip_repetitions   = true;                // see recurrence.hpp
  std::function<void(double fraction)> progress; // called where it is executed
  Engine engine = heap_engine();
};

// `classes`: of fold(). Where the fold in time cannot go on, it simulates in full. Throws what the engine does.
Trace simulate(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
               const Placement& placement, const DeviceClasses& classes, const SimulationOptions& options);

// How long a simulation of so many classes will take if nothing repeats, from the activities of each and what SimGrid
// costs for them when that many are under way (measured: 2 us, and 4.4 ns more for each).
Seconds simulation_estimate(std::int64_t classes, const ShardedProgram& program, const TimedProgram& timed);

} // namespace podsim
