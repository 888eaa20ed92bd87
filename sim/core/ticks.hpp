#pragma once
// The simulation's clock counts ticks of 2^-40 s (0.9 ps). Every duration is a whole number of ticks, so that sums
// of durations are exact in the doubles that SimGrid computes with (up to 2^53 ticks, 2.3 hours), and folded
// and explicit runs can agree to the last bit.

#include "sim/core/units.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace podsim {

using Ticks                       = std::int64_t;
constexpr double ticks_per_second = 0x1p40;

// At least one tick: nothing takes no time.
inline Ticks to_ticks(Seconds time)
{
  return std::max<Ticks>(1, std::llround(time.value() * ticks_per_second));
}
inline Seconds to_seconds(double ticks)
{
  return Seconds(ticks / ticks_per_second);
}

} // namespace podsim
