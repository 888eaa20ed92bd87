#include "sim/engine/state.hpp"

#include <algorithm>
#include <utility>

namespace podsim {

void State::add_sorted(std::vector<std::vector<std::int64_t>>& rows)
{
  std::sort(rows.begin(), rows.end());
  add(static_cast<std::int64_t>(rows.size()));
  for (const std::vector<std::int64_t>& row : rows)
    numbers_.insert(numbers_.end(), row.begin(), row.end());
  rows.clear();
}

} // namespace podsim
