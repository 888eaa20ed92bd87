#include "sim/collectives/axis_load.hpp"

namespace podsim {

std::int64_t AxisLoad::sends(const RingPlace& at, int direction) const
{
  if (one_way())
    return direction > 0 ? 1 : 0;
  const std::int64_t end = direction > 0 ? factor().length - 1 : 0;
  return !at.closed && at.position == end ? 0 : 1;
}

std::int64_t AxisLoad::receives(const RingPlace& at, int direction) const
{
  if (one_way())
    return sends(at, direction);
  const std::int64_t first = direction > 0 ? 0 : factor().length - 1;
  return !at.closed && at.position == first ? 0 : 1;
}

Ticks AxisLoad::transmission(const RingPlace& at, int, std::int64_t) const
{
  return step(!at.closed);
}

Ticks AxisLoad::work(const LineState& line) const
{
  return at_link_speed(step(line.cut), line.speed);
}

} // namespace podsim
