#pragma once

#include "sim/core/units.hpp"
#include "sim/sharding/mesh.hpp"

namespace podsim {

enum class CollectiveKind : std::uint8_t { all_gather, reduce_scatter, all_reduce, all_to_all };
const char* name(CollectiveKind kind);

// A collective over the groups of devices that differ only in `axes`. `full` is the size, on one device, of
// the whole tensor: what an all-gather ends with, a reduce-scatter starts from, an all-reduce has; of an
// all-to-all, what the device holds before it (and after it: it sends all but its own part, a part to each other).
struct Collective {
  CollectiveKind kind = CollectiveKind::all_gather;
  AxisMask axes       = 0;
  Bytes full;
};

} // namespace podsim
