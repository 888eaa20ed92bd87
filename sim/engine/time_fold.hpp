#pragma once
// Skips layers and micro-batches that only repeat what was simulated (see recurrence.hpp for when they do).
//
// Parts of the machine that exchange nothing while the program repeats (pods, between two exchanges of gradients) need
// not keep the same pace: each recurs by itself, and has a clock of its own, ahead of the engine's by what it has
// skipped. Where parts meet, all take the clock that is the least ahead, and whoever would be early waits
// (Executor::synchronise). What is under way on a class that meets others would be left behind, so that classes are
// parts of their own only if nothing can be: in programs without stages, and with asynchronous collectives only if the
// block in which parts meet waits for them.
//
// Why nothing is left behind when a part skips: who decides what a class does next reads its place in the order, its
// queues, the messages on their way to it, the collectives that it has arrived at, and which asynchronous collectives
// of a row have ended. All of these are compared, and all of them move on. Of the last, only some rows can still be
// asked for. An operation looks at its own row alone: one in the order at or after the stream's row, one in a queue at
// its own, and all that is in a queue is pending. So the oldest row is that of the stream or of its oldest pending
// operation, whichever comes first; a reduction that lags rows behind the stream keeps them. Nothing in rows that are
// not open yet can have ended, since it has not been in a queue.

#include "sim/engine/collective_runner.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/recurrence.hpp"
#include "sim/engine/stream.hpp"

#include <optional>
#include <vector>

namespace podsim {

class TimeFold {
public:
  TimeFold(const Replay& replay, Streams& streams, Clock& clock, CollectiveRunner& collectives);

  // Around each event, before and after it is dealt with.
  void before(const Token& token, double since);
  void after(const Token& token);

private:
  struct Part {
    std::vector<int> classes;                        // the first is the one whose rows are watched
    History layers, forward_passes, backward_passes; // boundaries: rows of a step; micro-batches
    std::optional<double> boundary;                  // when it came to a new row, until the next instant
    std::int32_t row = 0, step = -1;                 // where it was last
  };
  struct Window { // rows of a stage that somebody of the part has to do with now
    std::int32_t first, last, shift = -1;
    RowPeriod period{};
  };

  void look_back(Part& part, double time);
  Boundary boundary(const Part& part, double time);
  std::optional<std::vector<Window>> windows(const Part& part, const Boundary& then, const Boundary& now);
  bool skip(const Part& part, const Boundary& then, const Boundary& now);
  void move_on(const Part& part, const std::vector<std::int32_t>& slots, std::int32_t micro_batches, double later);
  bool is_of(const Part& part, int c) const { return part_of_[static_cast<std::size_t>(c)] == &part - parts_.data(); }

  const Replay& replay_;
  Streams& streams_;
  Clock& clock_;
  CollectiveRunner& collectives_;
  std::vector<Part> parts_;
  std::vector<std::ptrdiff_t> part_of_; // of each class
};

} // namespace podsim
