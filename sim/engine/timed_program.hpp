#pragma once
// A sharded program with the duration of each operation on this machine, and the decision which collectives
// must be simulated by their chunks.

#include "sim/collectives/duration.hpp"
#include "sim/engine/trace.hpp"
#include "sim/sharding/sharded_program.hpp"

#include <vector>

namespace podsim {

struct TimedOperation {
  Ticks duration = 0; // of a compute operation, or of a collective as one event; on a healthy machine
  Plan plan;          // of a collective
  bool chunked = false;
};
using TimedBlocks = std::vector<std::vector<TimedOperation>>; // by block and operation

// How long the operations of each program take a device of some speed: by program, block and operation.
struct DeviceTimes {
  Speed speed;
  std::vector<std::vector<std::vector<Ticks>>> durations;
};

struct TimedProgram {
  std::vector<TimedBlocks> programs;
  std::vector<DeviceTimes> speeds; // of all that occur on the machine; the first is the catalogue's

  const std::vector<std::vector<Ticks>>& durations(std::size_t program, const Speed& speed) const;
};

// With Granularity::automatic a collective goes by chunks if it may meet another on a link: both use the same torus
// axis and neither must precede the other, it uses the axis that pipeline stages send over, or it shares links with
// itself. So does one over an axis with a slow link or NIC, unless that is not wanted: as one event it ends for all
// when it would for the last; and one over an open line, whose middle is done early, where several of its devices then
// send to the next stage over one NIC.
TimedProgram time_program(const ShardedProgram& program, const Machine& machine, const Placement& placement,
                          const CollectiveChoices& choices, Granularity granularity, bool slow_links_by_chunks = true);

// The factor along which pipeline stages send to each other: the only one of their mesh axis that is longer than 1.
AxisFactor stage_factor(const ShardedProgram& program, const Placement& placement);

// Which operations a blocking one of the same block waits for, by itself or through others: what is asynchronous among
// them ends within its own iteration, and so meets only what its block leaves unordered with it.
std::vector<bool> awaited(const DeviceBlock& block);

// How many activities one device takes in a step, for an estimate of the time that a simulation will need.
double activities_per_device(const ShardedProgram& program, const TimedProgram& timed);

} // namespace podsim
