#pragma once
// The step of one class of devices as a bare loop over a binary heap: what a good programmer would write who needs the
// time of the step and nothing else. It is the yardstick for the simulation's speed, so it does the same work, chunk by
// chunk, and must come to the same end:
//
//   an event     a run of operations between which nothing can happen, or one chunk of a ring, of each phase, part and
//                direction; on the DCN, one of each device of a host
//   waits for    the events before it: the chunk before it in its direction (all devices being alike, what a device has
//                sent is what it has heard), its ring's phases, and the operation before
//   on a link    chunks of parts that may meet there share its rate; the others have it to themselves
//
// The events and what waits for them are laid down before the loop is timed. Asynchronous collectives and pipelines are
// not replayed.

#include "sim/engine/timed_program.hpp"

#include <cstdint>
#include <vector>

namespace podsim::bench {

struct HeapEvent {
  Ticks before = 0; // a chunk's latency
  Ticks work   = 0;
  int link     = -1; // of a chunk that may meet others on it
};

struct HeapProgram {
  std::vector<HeapEvent> events;
  std::vector<std::int32_t> waits;       // for how many others, of each event
  std::vector<std::int32_t> first_after; // where its successors begin in `after`, and behind the last, where all end
  std::vector<std::int32_t> after;
  int links = 0;
};

// Throws std::logic_error on what it cannot replay.
HeapProgram heap_program(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine);

// The time of the last event. `waits`: a copy of the program's, which the loop counts down.
Ticks replay(const HeapProgram& program, std::vector<std::int32_t> waits);

} // namespace podsim::bench
