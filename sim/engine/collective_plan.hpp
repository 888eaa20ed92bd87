#pragma once
// How a collective runs on the machine: which rings, in which order, in what chunks.
//
// On a ring of n chips an all-gather of shards of c bytes sends in both directions at once: n/2 steps each way,
// and for an even n the shard of the chip opposite goes half each way, so its last step carries c/2. A
// reduce-scatter is the same backwards. On an open line there is no way round: n-1 steps each way. Each
// step takes the hop latency plus chunk over link bandwidth:
//     ring  T = floor(n/2) hop + (n-1)/2 c/B          line  T = (n-1) (hop + c/B)
// Over several torus axes it goes axis by axis, with the shards that the axes before have gathered. An
// all-reduce is a reduce-scatter, then an all-gather. Behind a switch (cores, NVLink) it is a one-way ring of n-1
// steps:
//     T = (n-1) (latency + c/B)
// Across pods, over the hosts' NICs, it is a one-way ring as well, but cut into pieces far smaller than c: a host sends
// on what has come in of a chunk while the rest is on its way, and reduces it piece by piece, so that an all-reduce's
// all-gather follows its reduce-scatter without a gap. A piece goes on one latency after it left the host before, and a
// NIC is never idle while it has something to send. Of the k steps (n-1, or 2 (n-1) of an all-reduce) either the NIC
// sets the pace or the latency does:
//     T = max(latency + k c/B, k latency + c/B)
// A NIC that waited for each whole chunk would have gaps in which another device of the host, out of step because of a
// fault, could send: then what is broken would be faster than what is whole. All of the ring end when the last does,
// since what is late on one NIC is late for all behind it.
//
// An all-to-all of S bytes a device goes by minimal routes and uses all axes at once (topologies/routing.hpp); every
// link of an axis carries what its busiest one does. Of each switched axis of length n a device sends S (n-1)/n. With t
// for how long a link of an axis is busy, it takes
//     T = max over axes (latency + t) + what the hops of the longest way take beyond that
// So does a collective whose phases overlap: its chunks follow each other over all its axes (NVLink and NICs), and what
// it puts on each is one transmission; the latencies are those of all phases, since the ring goes through the devices
// of every node in turn.
//
// A link at a fraction f of its speed is busy 1/f times as long. On a ring that it belongs to, the chunks pass it one
// after the other, and the chip behind it has them all after the time of a ring that is as slow everywhere: no chip
// is later, those further on are earlier. A ring with a dead link is run as the open line that is left.

#include "sim/core/ticks.hpp"
#include "sim/sharding/collective.hpp"
#include "sim/sharding/compilation.hpp"
#include "topologies/machine.hpp"

#include <cmath>
#include <vector>

namespace podsim {

// One ring (or line) of one part of a collective; or what an all-to-all puts on one axis.
struct RingPhase {
  CollectiveKind kind = CollectiveKind::all_gather; // never all_reduce
  AxisKind link       = AxisKind::ici;
  AxisFactor factor{};
  std::int64_t length = 1;
  Bytes chunk;
  Ticks step           = 0; // transmission of a chunk at the full rate of its link; of all that an all-to-all sends
  Ticks last_step      = 0; // of the last chunk a device sends round a whole ring
  Ticks latency        = 0;
  std::int64_t rounds  = 1; // DCN: 2 where an all-gather follows its reduce-scatter
  std::int64_t sharers = 1; // DCN: devices of a host, which send at once over its NIC, each over a bus of its own,
  double bus           = 0; // over which it takes so many times as long as over the NIC alone
  Bytes sent{};             // of an exchange: what a device sends over the axis
  Ticks open_step = 0;      // of an exchange if the ring is cut
  Ticks cut_time  = 0;      // of an all-to-all: how long the tightest cut of the torus needs (a bisection, or worse)

  bool one_way() const { return link != AxisKind::ici; }
  bool exchanges() const { return kind == CollectiveKind::all_to_all; }
  bool streams() const { return link == AxisKind::dcn && !exchanges(); }
  std::int64_t steps() const { return rounds * (length - 1); } // of a one-way ring

  // What takes so long over the NIC alone, where all of the host send at once.
  Ticks crowded(Ticks alone) const
  {
    return std::max<Ticks>(sharers * alone, std::llround(static_cast<double>(alone) * bus));
  }

  // Of a stream: the least time that it takes because each piece waits for the one before; 0 where the NIC sets the
  // pace even if nobody shares it.
  Ticks pace() const { return steps() > 1 && latency > step ? steps() * latency + step : 0; }
};

// How long the busiest link of a phase is busy, if all devices begin together; and what its hops add.
Ticks busy(const RingPhase& phase);
Ticks latencies(const RingPhase& phase);

// What a phase puts on the links of its axis: what one device sends in all, and how long that keeps the busiest link
// busy (on the DCN the NIC, which others of the host share, as if it had that device alone).
struct Traffic {
  Bytes sent;
  Ticks busy = 0;
};
Traffic traffic(const RingPhase& phase);

// Where a device stands on its ring, and whether nothing cuts it.
struct RingPlace {
  std::int64_t position = 0;
  bool closed           = true;
};
RingPlace place_on(const RingPhase& phase, std::int64_t position, bool cut);

using PlanPart = std::vector<RingPhase>; // one after the other
struct Plan {
  std::vector<PlanPart> parts; // at once
  bool exchange = false;       // a part for each axis, in which a device sends once; all begin and end as one
  Ticks rest    = 0;           // of an exchange: latencies of the longest way that no axis shows by itself
};

Plan plan(const Collective& collective, const Machine& machine, const Placement& placement, MultiAxis multi_axis);

// How many chunks a device sends in `direction` (+1 or -1).
std::int64_t sends(const RingPhase& phase, const RingPlace& at, int direction);

// How many come in from behind, travelling in `direction`.
std::int64_t receives(const RingPhase& phase, const RingPlace& at, int direction);

// How many chunks must have come in before the send with this index (from 0).
std::int64_t receives_before(const RingPhase& phase, const RingPlace& at, int direction, std::int64_t send);

// The transmission of the send with this index, at the full rate of its link.
Ticks transmission(const RingPhase& phase, const RingPlace& at, int direction, std::int64_t send);

// The transmission on a link of this speed.
inline Ticks at_link_speed(Ticks transmission, double speed)
{
  return speed == 1 ? transmission : std::llround(static_cast<double>(transmission) / speed);
}

// The phase where the slowest link of its ring has this speed, or where the ring is cut.
RingPhase as_on(RingPhase phase, double speed, bool cut);

} // namespace podsim
