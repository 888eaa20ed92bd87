#pragma once

#include "sim/sharding/sharded_program.hpp"

#include <set>

namespace podsim {

// Makes one collective of several alike (kind, mesh axes), as XLA's combiner does: of those in `candidates`
// (indices of operations), all that wait for nothing move to the place of the first, the others to that of the
// last, unless somebody reads one of them before that. Renumbers the block's operations and buffers.
void combine(DeviceBlock& block, const std::set<int>& candidates);

} // namespace podsim
