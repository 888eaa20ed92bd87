#pragma once
// Random small scenarios, as the text of a file would give them: machines, models, shardings, software, schedules and
// faults in all combinations that fit together, or nearly so. What the reader refuses is no draw.

#include "tests/random/dice.hpp"

#include <nlohmann/json.hpp>

namespace podsim::test {

nlohmann::json draw_scenario(std::uint64_t seed);

// A part of the machine that gets slower in one of two readings of a scenario.
struct Slowdown {
  nlohmann::json faster, slower; // whole scenarios
};
Slowdown draw_slowdown(const nlohmann::json& scenario, Dice& dice);

} // namespace podsim::test
