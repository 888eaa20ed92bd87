#pragma once
// An all-reduce between n nodes by recursive halving and doubling (Rabenseifner's algorithm: Thakur, Rabenseifner and
// Gropp, "Optimization of collective communication operations in MPICH", 2005): each exchanges half of the S bytes with
// the node opposite, then a quarter with one nearer, until each has summed its n-th; then all of it is gathered the
// same way back. Each step waits for the one before:
//     T = 2 log2(n) latency + 2 S (n-1)/n / B
// Of an n that is no power of two, as many pairs as it takes to leave one, m, become one node each: one of a pair first
// sends all that it has to the other and hears the result at the end, as MPICH does it:
//     T = (2 log2(m) + 2) latency + (2 S + 2 S (m-1)/m) / B
// A NIC counts as busy while its node only receives in these two steps, so that others of its host get no more of it
// than in the others.

#include "sim/collectives/nic_stream.hpp"

namespace podsim {

PhasePtr halving_doubling(const AxisFactor& factor, Bytes chunk, const Machine& machine);

} // namespace podsim
