#pragma once
// Whether a scenario can be simulated at all: whether it fits in memory, and its step in the simulator's clock.

#include "sim/evaluate/evaluation.hpp"
#include "sim/evaluate/prepare.hpp"
#include "sim/evaluate/remedies.hpp"

namespace podsim {

// About the time of a step in which nothing overlaps; and what the simulator's clock can hold of it (2^53 ticks,
// sim/core/ticks.hpp). A step beyond that is the work of a slip in the input.
Seconds serial_time(const Prepared& prepared);
constexpr Seconds longest_step{8192};

Refusal too_long(Seconds step);

// With what would make it fit, and how long a step then takes, where `time` says so.
Refusal lacks_memory(const Prepared& prepared, const Memory& needed, const TimeStep& time, PreparedBefore* before);

// Why it cannot be simulated; of what lacks memory without any times. `needed`: memory_of_chip(prepared).
std::optional<Refusal> refusal(const Prepared& prepared, const Memory& needed, PreparedBefore* before);

} // namespace podsim
