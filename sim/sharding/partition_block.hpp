#pragma once

#include "sim/sharding/compilation.hpp"
#include "sim/sharding/sharded_program.hpp"
#include "sim/sharding/sharding.hpp"

namespace podsim {

// What a device does in one iteration of a block, with the collectives that partition.hpp describes. `unreduced`: mesh
// axes over which gradients of weights stay summands when the block ends.
DeviceBlock partition_block(const Block& block, const Mesh& mesh, const ShardingRules& rules,
                            const Compilation& compilation, AxisMask unreduced);

} // namespace podsim
