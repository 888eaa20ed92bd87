#pragma once
// A pipeline without events. Where each stage is one class, its rows take constant times (row.hpp), and messages
// between stages never meet on a link, a stage is a clock that walks its steps, and a receive takes the later of its
// clock and the message's arrival: a recurrence in which only maxima and sums occur, worked out in any order.
//
//     block:    clock += rows x time of a row
//     send:     arrival = clock + transfer;  a blocking one: clock = arrival
//     receive:  clock = max(clock, arrival); a blocking one: at least its own start + transmission
//
// Why it is exact. All is taken as if no two messages met; afterwards, on each link that messages share, the times in
// which they move are laid side by side. Where no two overlap each had its full rate, so that the timeline solves the
// equations of the simulation, which have one solution. Two that overlap by d share the link evenly, and both end d
// later: the earliest such pair is set right, and all that began later is worked out anew. What is more than that (a
// third message, a rate that sharing does not halve) is left to events.

#include "sim/engine/simulate.hpp"
#include "sim/engine/tally.hpp"

#include <optional>

namespace podsim {

struct Reckoned {
  Course course;
  Tally tally;
  int meetings = 0; // of two messages on a link, that were set right
};

// `classes`: of fold(). Nothing where the conditions fail: then it is to be simulated. The same figures to the bit, for
// a healthy machine.
std::optional<Reckoned> stage_recurrence(const ShardedProgram& program, const TimedProgram& timed,
                                         const Machine& machine, const Placement& placement,
                                         const DeviceClasses& classes);

} // namespace podsim
