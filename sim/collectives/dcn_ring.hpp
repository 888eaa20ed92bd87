#pragma once
// A ring of n pods or nodes over their hosts' NICs, one way, in k steps of chunks of c bytes: n-1, or 2 (n-1) of an
// all-reduce, whose all-gather follows its reduce-scatter without a gap. A piece goes on one latency after it left the
// host before; either the NIC sets the pace or the latency does:
//     T = max(latency + k c/B, k latency + c/B)

#include "sim/collectives/nic_stream.hpp"

namespace podsim {

PhasePtr dcn_ring(const AxisFactor& factor, Bytes chunk, const Machine& machine);
PhasePtr dcn_ring_all_reduce(const AxisFactor& factor, Bytes chunk, const Machine& machine);

} // namespace podsim
