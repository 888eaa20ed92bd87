#include "sim/engine/row.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace podsim {

RowAlone row_alone(const DeviceBlock& block, const std::vector<Ticks>& durations)
{
  const std::size_t size         = block.operations.size();
  const std::vector<bool> waited = awaited(block);
  RowAlone row{.wait = std::vector<Ticks>(size, 0), .waited_for = std::vector<AxisMask>(size, 0)};
  std::vector<Ticks> end(size, 0);
  std::map<AxisMask, Ticks> queue_free;
  std::optional<Ticks> first;
  Ticks now = 0;
  for (std::size_t o = 0; o < size; ++o) {
    const DeviceOperation& own = block.operations[o];
    Ticks start                = now;
    for (const int need : own.needs)
      start = std::max(start, end[static_cast<std::size_t>(need)]);
    if (own.asynchronous) {
      row.whole   = row.whole && waited[o] && !own.needs.empty();
      Ticks& free = queue_free[own.collective.axes];
      free = end[o] = std::max(free, start) + durations[o];
      continue;
    }
    row.wait[o] = start - now;
    if (start > now)
      for (const int need : own.needs)
        if (const auto n = static_cast<std::size_t>(need); block.operations[n].asynchronous && end[n] == start)
          row.waited_for[o] = std::max(row.waited_for[o], block.operations[n].collective.axes);
    first  = first.value_or(start);
    now    = start + durations[o];
    end[o] = now;
  }
  row.time  = now;
  row.first = first.value_or(0);
  row.whole = row.whole && (first || size == 0);
  return row;
}

} // namespace podsim
