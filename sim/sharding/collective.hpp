#pragma once

#include "sim/core/units.hpp"
#include "sim/sharding/mesh.hpp"

namespace podsim {

enum class CollectiveKind : std::uint8_t { all_gather, reduce_scatter, all_reduce };
const char* name(CollectiveKind kind);

// A collective over the groups of devices that differ only in `axes`. `full` is the size, on one device, of
// the whole tensor: what an all-gather ends with, a reduce-scatter starts from, an all-reduce has.
struct Collective {
  CollectiveKind kind = CollectiveKind::all_gather;
  AxisMask axes       = 0;
  Bytes full;
};

} // namespace podsim
