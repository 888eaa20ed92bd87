#pragma once
// What is under way on each class of devices.

#include "sim/engine/slots.hpp"
#include "sim/engine/trace.hpp"

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace podsim {

struct Pending { // reached, and not ended
  std::int32_t slot;
  Seconds ready;
  std::optional<Seconds> start;
  std::int32_t operations = 1;
  AxisMask waited_for     = 0;
};

struct Queue {
  std::deque<std::int32_t> slots;
  bool running = false; // the front one
};

// A message between stages: the virtual stage that receives it, which way it goes, and of which micro-batch.
struct Message {
  std::int32_t receiver, towards, micro_batch;
  friend auto operator<=>(const Message&, const Message&) = default;
};

// What a class knows of a block: which operations it runs by itself, whether rows run as wholes where nothing else is
// under way (row.hpp), and how long one then takes.
struct PlainRow {
  bool known = false, whole = false;
  std::vector<bool> plain;
  Ticks time = 0;
};

struct Stream {
  std::size_t stage                                = 0;
  const std::vector<std::vector<Ticks>>* durations = nullptr; // on devices of its speed, by block and operation
  std::vector<PlainRow> plain_rows;                           // by block, as they come to be needed
  std::int32_t slot        = 0;                               // the next in order
  std::int32_t after_run   = 0;                               // the slot after the operations that run now
  std::int32_t opened_rows = 0;                               // whose operand-free collectives are in their queues
  bool reached             = false;                           // the operation at `slot`
  bool running             = false;                           // it, too
  std::vector<Pending> pending;
  std::map<AxisMask, Queue> queues;
  std::vector<char> ended;             // of each slot, for asynchronous ones
  std::int64_t outstanding = 0;        // asynchronous collectives in queues
  double skipped           = 0;        // ticks that its clock is ahead of the engine's, see time_fold.hpp
  double ended_at          = 0;        // when asynchronous collectives ended last,
  std::vector<std::int32_t> ended_now; // and which, all of that instant
  std::map<Message, Seconds> sent;     // messages on their way here, and when they left
  std::map<Message, Seconds> arrived;  // with when they left
  std::array<std::vector<int>, 2> to;  // classes that hear what is sent down (0) and up (1) the pipeline
  std::array<int, 2> from{-1, -1};     // and the class that it hears
};

// All of it. A transfer between stages is known by the class and slot that sends it.
struct Streams {
  std::vector<Slots> slots; // of each stage
  std::vector<Stream> classes;
  std::vector<int> recorded;                                    // index of each class in the trace, or -1
  std::map<std::pair<int, std::int32_t>, std::int64_t> sending; // transfers under way
  Trace trace;

  Stream& of(int c) { return classes[static_cast<std::size_t>(c)]; }
  const Stream& of(int c) const { return classes[static_cast<std::size_t>(c)]; }
  const Slots& slots_of(const Stream& s) const { return slots[s.stage]; }
};

} // namespace podsim
