#pragma once
// Where a fault is does not matter on rings on which one place is like the next.

#include "sim/sharding/mesh.hpp"
#include "topologies/machine.hpp"

#include <optional>

namespace podsim {

// The same faults nearer to the first device, shifted along rings on which every host is like the next. A step with
// them takes as long: the machine, shifted likewise, is the same one.
Overrides shifted_to_start(const Overrides& overrides, const Machine& machine, const Placement& placement,
                           std::optional<std::size_t> pipeline);

} // namespace podsim
