#pragma once
// Replays a sharded program on classes of devices.
//
// A device executes its compute operations and its blocking collectives in program order: its stream. An
// asynchronous collective waits in the queue of its mesh axes, of which one runs at a time; one without
// operands (a gather of stored weights) enters the queue when the stream begins the iteration
// `prefetch_iterations` before its own. An operation waits for the asynchronous collectives it needs; the block
// that updates the weights waits for all of them.
//
// A send hands its data to the network and holds the stream only where transfers block; a receive waits for the data.
// Consecutive operations between which nothing can happen are one activity and one record.

#include "sim/engine/clock/clock.hpp"
#include "sim/engine/equivalence.hpp"
#include "sim/engine/timed_program.hpp"
#include "sim/engine/trace.hpp"

#include <functional>
#include <stdexcept>

namespace podsim {

struct Replay {
  const ShardedProgram& program;
  const TimedProgram& timed;
  const Machine& machine;
  const Placement& placement;
  const DeviceClasses& partition;
  std::vector<int> recorded;    // classes whose records are wanted; the trace numbers them in this order
  bool skip_repetitions = true; // layers and micro-batches that only repeat what was simulated, see recurrence.hpp
  std::function<void(double fraction)> progress;
};

// The fold in time cannot go on: it might not be exact (time_fold.hpp), or has skipped what it should not have. A
// simulation in full can.
struct FoldStopped : std::logic_error {
  using std::logic_error::logic_error;
};

// Runs to the end of a clock that nobody has used yet, and returns the trace. Throws FoldStopped.
Trace execute(const Replay& replay, Clock& clock);

} // namespace podsim
