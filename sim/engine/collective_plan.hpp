#pragma once
// How a collective runs on the machine: which rings, in which order, in what chunks.
//
// On a ring of n chips an all-gather of shards of c bytes sends in both directions at once: n/2 steps each way,
// and for an even n the shard of the chip opposite goes half each way, so its last step carries c/2. A
// reduce-scatter is the same backwards. On an open line there is no way round: n-1 steps each way. Each
// step takes the hop latency plus chunk over link bandwidth:
//     ring  T = floor(n/2) hop + (n-1)/2 c/B          line  T = (n-1) (hop + c/B)
// Over several torus axes it goes axis by axis, with the shards that the axes before have gathered. An
// all-reduce is a reduce-scatter, then an all-gather. Behind a switch (cores, NVLink) and across pods, over the
// hosts' NICs, it is a one-way ring of n-1 steps:
//     T = (n-1) (latency + c/B)
//
// An all-to-all of S bytes a device goes by minimal routes and uses all axes at once (topologies/routing.hpp); the axis
// whose links carry most sets the pace. Of each switched axis of length n a device sends S (n-1)/n.

#include "sim/engine/ticks.hpp"
#include "sim/sharding/collective.hpp"
#include "sim/sharding/compilation.hpp"
#include "topologies/machine.hpp"

#include <vector>

namespace podsim {

// One ring (or line) of one part of a collective.
struct RingPhase {
  CollectiveKind kind = CollectiveKind::all_gather; // never all_reduce; all_to_all: one step, the whole exchange
  AxisKind link       = AxisKind::ici;
  AxisFactor factor{};
  std::int64_t length = 1;
  Bytes chunk;
  Ticks step         = 0; // transmission of a chunk at the full rate of its link
  Ticks last_step    = 0; // of the last chunk a device sends
  Ticks latency      = 0;
  Ticks crowded_step = 0; // DCN: transmission when all devices of the host send at once

  bool one_way() const { return link != AxisKind::ici; }
};

using PlanPart = std::vector<RingPhase>; // one after the other
struct Plan {
  std::vector<PlanPart> parts; // at once
  bool pipelined = false;      // the phases of the part overlap (of an all-to-all, too): one event, not chunks
};

Plan plan(const Collective& collective, const Machine& machine, const Placement& placement, MultiAxis multi_axis);

// How many chunks a device at `position` sends in `direction` (+1 or -1).
std::int64_t sends(const RingPhase& phase, std::int64_t position, int direction);

// How many come in from behind, travelling in `direction`.
std::int64_t receives(const RingPhase& phase, std::int64_t position, int direction);

// How many chunks must have come in before the send with this index (from 0).
std::int64_t receives_before(const RingPhase& phase, std::int64_t position, int direction, std::int64_t send);

// How long a phase or plan takes on links that nothing else uses; parts that share links among themselves
// (see below) take longer.
Ticks duration(const RingPhase& phase);
Ticks duration(const Plan& plan);

// What a phase puts on the links of its axis: what one device sends in all, and how long the busiest link is busy.
struct Traffic {
  Bytes sent;
  Ticks busy = 0;
};
Traffic traffic(const RingPhase& phase, const Machine& machine);

// How long a device's transmission to its neighbour on a factor takes, on a link of its own and without latency.
Ticks transfer_time(Bytes size, const Machine& machine, const AxisFactor& factor);

bool shares_links_with_itself(const Plan& plan, const Machine& machine);

} // namespace podsim
