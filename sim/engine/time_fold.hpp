#pragma once
// Skips layers and micro-batches that only repeat what was simulated (see recurrence.hpp for when they do).
//
// Parts of the machine that exchange nothing while the program repeats (pods, between two exchanges of gradients) need
// not keep the same pace: each recurs by itself, and has a clock of its own, ahead of the engine's by what it has
// skipped. A block in which parts meet nobody enters before all classes have come to it. Then nothing is under way:
// all take one clock, by which the first that came enters now and the others as much later as they came later. So
// whatever shares a link or waits for another in that block does so on one clock, however its collectives go: in
// several parts at once, ring by ring, or over one axis after the other. Where all are on one clock when the first
// comes, it enters at once, and nobody skips anything until the last has entered.
//
// Two things may be under way all the same. Asynchronous collectives: where there are any, a block in which parts meet
// must wait for them and have none, else its axes join the parts; so do axes of stages. And messages of others over the
// NIC of a host, of which one device may be in the block while another is not there yet: where devices of a host would
// send over the DCN before and after all have met, and the first came before the last of those before had passed,
// FoldStopped is thrown.
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

#include <map>
#include <optional>
#include <vector>

namespace podsim {

class TimeFold {
public:
  TimeFold(const Replay& replay, Streams& streams, Clock& clock, const std::vector<Processor>& processors,
           CollectiveRunner& collectives);

  // Around each event, before and after it is dealt with.
  void before(const Token& token, double since);
  void after(const Token& token);

  // Whether a class that could start the operation at its slot may: not if parts meet in the block that it begins, and
  // not all are there. Then an activity with a token of this kind ends when it may. Throws FoldStopped.
  bool lets_in(int device_class);
  static constexpr std::int32_t meeting_token = 4;

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

  struct Visit { // of a class to a block in which parts meet: its first slot, when the class came there, and may go on
    std::int32_t slot = -1;
    double came       = 0;
    bool let_in       = false;
  };

  bool meets_in(const Stream& s) const;
  bool on_one_clock() const;
  void meet();
  bool sends_over_dcn_from(std::int32_t step) const;
  void look_back(Part& part, double time);
  Boundary boundary(const Part& part, double time);
  std::optional<std::vector<Window>> windows(const Part& part, const Boundary& then, const Boundary& now);
  bool skip(const Part& part, const Boundary& then, const Boundary& now);
  void move_on(const Part& part, const std::vector<std::int32_t>& slots, std::int32_t micro_batches, double later);
  bool is_of(const Part& part, int c) const { return part_of_[static_cast<std::size_t>(c)] == &part - parts_.data(); }

  const Replay& replay_;
  Streams& streams_;
  Clock& clock_;
  const std::vector<Processor>& processors_;
  CollectiveRunner& collectives_;
  std::vector<Part> parts_;
  std::vector<std::ptrdiff_t> part_of_;         // of each class
  std::vector<bool> meetings_;                  // the blocks in which parts meet; empty where there is one part
  std::vector<Visit> visits_;                   // of each class, the latest
  std::size_t there_ = 0;                       // classes that wait for the others
  std::map<std::int32_t, std::size_t> entered_; // first slots of blocks that are open, and how many are in
  std::vector<double> sent_over_dcn_;           // of each class, on its clock: when the latest of it had passed
  Groups hosts_;
};

} // namespace podsim
