#pragma once
// A ring behind a switch, of the cores of a chip or the GPUs of a node over NVLink: one way, in n-1 steps, each the
// latency and the transmission of a chunk of c bytes:
//     T = (n-1) (latency + c/B)

#include "sim/collectives/phase.hpp"

namespace podsim {

PhasePtr switched_ring(const AxisFactor& factor, Bytes chunk, const Machine& machine);

} // namespace podsim
