#include "sim/sharding/collective.hpp"

namespace podsim {

const char* name(CollectiveKind kind)
{
  switch (kind) {
  case CollectiveKind::all_gather:
    return "all-gather";
  case CollectiveKind::reduce_scatter:
    return "reduce-scatter";
  case CollectiveKind::all_reduce:
    return "all-reduce";
  case CollectiveKind::all_to_all:
    return "all-to-all";
  }
  return "";
}

} // namespace podsim
