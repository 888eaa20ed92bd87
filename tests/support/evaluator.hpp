#pragma once
// A second opinion on the engine: the timeline of a sharded program from a plain event heap, without SimGrid and
// without the engine's executor, network or plans. Every device is simulated. What must precede what is laid down
// before the run, as edges between the operations of one device; the heap then plays them, and the devices meet
// only at the start of their collectives.
//
//   stream      an operation that is not asynchronous follows the one before it in program order, and the
//               asynchronous collectives that it needs
//   queue       an asynchronous collective follows the one before it in the queue of its mesh axes, what it needs,
//               and the stream's way to it; one without operands, the stream's way to the start of the iteration
//               `prefetch_iterations` before its own
//   block wait  the first operation of a block that waits follows all asynchronous collectives in a queue by then
//   barrier     a collective (by chunks: each of its rings in turn) starts when all its devices have arrived, a
//               strided ring together with those that it relays for: they hold the same line of chips
//   message     a send holds its data until it is reached, then the transfer begins; a receive follows the end of the
//               transfer with its virtual stage, direction and micro-batch. What follows a send in the stream follows
//               its beginning, or its end where transfers block
//
// Collectives take the closed forms of their rings, and so do transfers. So it is right only where no two of them share
// a link at one time, and says where they do.

#include "sim/core/ticks.hpp"
#include "sim/engine/trace.hpp" // only Granularity
#include "sim/sharding/compilation.hpp"
#include "sim/sharding/sharded_program.hpp"
#include "topologies/machine.hpp"

#include <cstdint>
#include <vector>

namespace podsim::test {

struct Timeline {
  Ticks end = 0;
  bool contended =
      false; // collectives, parts of one or transfers were on one link at a time: the rest is too early then

  // An execution is one operation of one iteration; they are counted through the steps of a stage.
  std::vector<std::vector<std::vector<std::size_t>>> first; // that of an iteration, by stage, step and iteration
  std::vector<std::size_t> stages;                          // of each device
  std::vector<std::vector<Ticks>> ends;                     // by device and execution

  Ticks end_of(std::int64_t device, int step, int iteration, int operation) const;
};

// `granularity`: whether collectives are single events, which use no link, or go by chunks; not `automatic`, which
// mixes the two. A host on the DCN must have all its chips.
Timeline evaluate(const ShardedProgram& program, const Machine& machine, const Placement& placement,
                  MultiAxis multi_axis, Granularity granularity);

} // namespace podsim::test
