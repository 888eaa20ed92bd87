#pragma once
// How long a collective takes by itself, from the closed forms of its phases where its parts keep apart, and from one
// arrival to the next where they meet.

#include "sim/collectives/plan.hpp"

#include <functional>

namespace podsim {

// How long a plan takes on links that nothing else uses, if all devices begin together: those of a host share
// its NIC evenly, and parts on unequal rings share the links of an axis wherever they meet (on closed rings; where an
// axis is open it is a bound). `lines` tells in what state the line of each phase is.
Ticks duration(const Plan& plan);
Ticks duration(const Plan& plan, const std::function<LineState(const Phase&)>& lines);

// How long a device's transmission to its neighbour on a factor takes, on a link of its own and without latency.
Ticks transfer_time(Bytes size, const Machine& machine, const AxisFactor& factor);

// Whether its own transmissions meet on a link: of a host's devices on the NIC, or of its parts.
bool shares_links_with_itself(const Plan& plan, const Machine& machine);

} // namespace podsim
