#pragma once
// What one algorithm puts on one axis of the machine: a phase. A collective is one or more of them (plan.hpp). Each
// algorithm has a file here, whose header or source opens with its model, and answers the questions below; the engine
// and the metrics know no other.
//
// Who asks owes this: all members of a ring begin a phase together, and what has come in is counted by direction.
// A phase never changes. Times are in ticks, and on a healthy line unless a LineState is given.
//
// A link at a fraction f of its speed is busy 1/f times as long. On a ring that it belongs to, the chunks pass it one
// after the other, and the chip behind it has them all after the time of a ring that is as slow everywhere: no chip
// is later, those further on are earlier. A ring with a dead link is run as the open line that is left.

#include "sim/core/ticks.hpp"
#include "topologies/machine.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace podsim {

// Of a line that a ring is on: the speed of its slowest link, of the catalogue's, and whether a link of it is dead.
struct LineState {
  double speed = 1;
  bool cut     = false;
};

// The transmission on a link of this speed.
inline Ticks at_link_speed(Ticks transmission, double speed)
{
  return speed == 1 ? transmission : std::llround(static_cast<double>(transmission) / speed);
}

// Where a device stands on its ring, and whether nothing cuts it.
struct RingPlace {
  std::int64_t position = 0;
  bool closed           = true;
};

// What a device sends in all over links of the axis (on average, where members differ), and how long that keeps the
// busiest link busy: on the DCN the NIC, which others of the host share, as if it had that device alone.
struct Traffic {
  Traffic() = default;
  Traffic(Bytes sends, Ticks on_each) : sent(sends), busy(on_each), busy_at_end(on_each) {}
  Traffic(Bytes sends, Ticks at_start, Ticks at_end) : sent(sends), busy(at_start), busy_at_end(at_end) {}

  Bytes sent;
  // On an open line the links that lead on from its start and those that lead to its end, one of which is the busiest:
  // a gather grows on the way, a scatter shrinks. Elsewhere the same.
  Ticks busy = 0, busy_at_end = 0;
  Ticks most() const { return std::max(busy, busy_at_end); }
};

class Phase {
public:
  Phase(const AxisFactor& factor, const Machine& machine);
  virtual ~Phase() = default;

  const AxisFactor& factor() const { return factor_; }
  AxisKind link() const { return link_; }
  Ticks latency() const { return latency_; } // of a hop, or a step
  bool one_way() const { return link_ != AxisKind::ici; }
  RingPlace place(std::int64_t position, bool cut) const { return {position, factor_.closed && !cut}; }

  // The steps of a member in `direction` (+1 or -1): how many chunks it sends; how many come in from behind, travelling
  // that way; how many of these must have come in before the send with this index (from 0); and how long its
  // transmission takes at the full rate of its link.
  virtual std::int64_t sends(const RingPlace& at, int direction) const                              = 0;
  virtual std::int64_t receives(const RingPlace& at, int direction) const                           = 0;
  virtual std::int64_t receives_before(const RingPlace& at, int direction, std::int64_t send) const = 0;
  virtual Ticks transmission(const RingPlace& at, int direction, std::int64_t send) const           = 0;

  // Who must meet besides at the beginning: whether it ends for all of its ring at once; and then, the least time that
  // it takes (0: whatever the links say), and how long all wait after the last has sent and received.
  virtual bool ends_together() const { return false; }
  virtual Ticks pace(const LineState&) const { return 0; }
  virtual Ticks rest() const { return 0; }

  // On a line those in the middle are done before those at its ends.
  bool lets_go_early() const { return !one_way() && !factor_.closed && factor_.length > 2; }

  // The time alone, if all devices begin together: how long all that passes the busiest link takes on it; the same
  // where all devices of a host send at once; what the hops add; and all of it.
  virtual Ticks work(const LineState& line) const = 0;
  Ticks busy(const LineState& line) const { return crowded(work(line), line.speed); }
  virtual Ticks latencies(const LineState& line) const = 0;
  virtual Ticks duration(const LineState& line) const { return busy(line) + latencies(line); }

  // What it puts on the links.
  virtual Traffic traffic() const = 0;

  // How long the tightest cut of the torus needs for it at least, where that is known: of an all-to-all.
  virtual Ticks cut_time() const { return 0; }

  // Where phases overlap, through how many nodes what it carries goes one after the other, and so over the axes inside.
  virtual std::int64_t nodes_in_turn() const { return 1; }

private:
  // What takes so long over a NIC of this speed alone, where all of the host send at once, each over a bus of its own.
  Ticks crowded(Ticks alone, double speed) const
  {
    return std::max<Ticks>(sharers_ * alone, std::llround(static_cast<double>(alone) * (bus_ * speed)));
  }

  AxisFactor factor_;
  AxisKind link_;
  Ticks latency_        = 0;
  std::int64_t sharers_ = 1; // DCN: devices of a host
  double bus_           = 0; // DCN: how many times as long as over the NIC it takes over the bus
};

// A collective's phases are shared by all that copy its plan.
using PhasePtr = std::shared_ptr<const Phase>;

} // namespace podsim
