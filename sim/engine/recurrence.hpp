#pragma once
// Folding in time. Layers repeat, and in the steady state of a pipeline so do micro-batches. When the whole state of
// the simulation is what it was p boundaries ago, shifted in time, what follows repeats what happened since (a timed
// event graph is max-plus linear, and becomes periodic), for as long as the program repeats.
//
// The clock makes it exact: every time is a whole number of ticks, so equal states are equal to the bit. What shares
// a link may leave that grid; then nothing is skipped. Of an activity under way the state has its age, not
// what is left of it: that follows from the age and from what else went on since it began, so all that happened
// since the oldest began must be the same as well (told by a hash of 64 bits; all else is compared itself).

#include "sim/engine/clock/clock.hpp" // only Token
#include "sim/engine/slots.hpp"
#include "sim/engine/state.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace podsim {

// The simulation at a boundary, when all that happens at its instant has happened.
struct Boundary {
  State state;
  std::vector<std::int32_t> rows; // where each class stands
  double time          = 0;       // in ticks, with what was skipped before
  double oldest        = 0;       // when the oldest activity under way began
  bool on_grid         = true;    // all that happened since the boundary before did so at whole ticks
  bool whole           = true;    // its own time and all ages in its state are whole ticks
  std::size_t records  = 0;       // of the trace
  std::uint64_t events = 0;       // hash of what happened since the boundary before
};

// Boundaries of one kind.
class History {
public:
  // Something has ended: what it was, and how long it took.
  void note(const Token& token, std::int32_t place, double started, double now);

  // Adds a boundary and returns the latest one before it with the same state, if there is any.
  std::optional<Boundary> add(Boundary boundary);
  void clear();

private:
  static constexpr std::size_t longest_period = 16;
  bool recurs(std::size_t now, std::size_t then) const;

  std::deque<Boundary> boundaries_;
  std::uint64_t events_ = 0;
  double since_         = 0;
  bool on_grid_         = true;
};

// How far the rows of a stage repeat: those from `first` on equal those `shift` further on, up to `end`.
struct RowPeriod {
  std::int32_t end;
  std::int32_t steps, iterations; // from a row to its repetition
};
RowPeriod row_period(const Slots& slots, std::int32_t first, std::int32_t shift, std::int32_t micro_batches);

} // namespace podsim
