#pragma once
// The figures that a CI keeps an eye on, flat in bench.json, and the cost of a step by the number of chips.
//
// Ratios can be trusted on a noisy machine, absolute times cannot. What is written is the least of several times, which
// others on the machine disturb least; the two sides of a ratio are measured in turn.

#include <nlohmann/json_fwd.hpp>

namespace podsim::bench {

// Prints them as it goes. Throws where the heap's loop does not come to the simulation's end.
nlohmann::ordered_json figures();

} // namespace podsim::bench
