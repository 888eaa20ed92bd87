#pragma once
// An all-to-all of S bytes a device goes by minimal routes and uses all axes at once (topologies/routing.hpp); every
// link of an axis carries what its busiest one does. Of each switched axis of length n a device sends S (n-1)/n. With t
// for how long a link of an axis is busy, it takes
//     T = max over axes (latency + t) + what the hops of the longest way take beyond that

#include "sim/collectives/plan.hpp"

namespace podsim {

// Of `local` bytes a device, among those of a group.
Plan all_to_all(const std::vector<AxisFactor>& group, Bytes local, const Machine& machine);

} // namespace podsim
