#pragma once
// A ring, or an open line, of chips on an axis of the torus.
//
// On a ring of n chips an all-gather of shards of c bytes sends in both directions at once: n/2 steps each way,
// and for an even n the shard of the chip opposite goes half each way, so its last step carries c/2. A
// reduce-scatter is the same backwards. On an open line there is no way round: n-1 steps each way. Each
// step takes the hop latency plus chunk over link bandwidth:
//     ring  T = floor(n/2) hop + (n-1)/2 c/B          line  T = (n-1) (hop + c/B)
// Chips `stride` apart relay through those between them, in step with their rings.

#include "sim/collectives/phase.hpp"

namespace podsim {

enum class RingUse : std::uint8_t { gather, scatter };

PhasePtr torus_ring(RingUse use, const AxisFactor& factor, Bytes chunk, const Machine& machine);

} // namespace podsim
