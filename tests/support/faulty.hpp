#pragma once
// Small scenarios with faults.

#include "tests/support/small_scenario.hpp"

#include <nlohmann/json.hpp>
#include <string>

namespace podsim::test {

using nlohmann::json;

inline std::string faults(const json& value)
{
  return "faults=" + value.dump();
}

inline SmallScenario with(SmallScenario scenario, const json& value)
{
  scenario.changes.push_back(faults(value));
  return scenario;
}

inline double step(const SmallScenario& scenario, Granularity granularity = Granularity::automatic)
{
  return test::simulate(test::prepare(scenario), granularity, false).end.value();
}

inline const SmallScenario four_stages{.slice       = "2x2x1",
                                       .pods        = 4,
                                       .model       = "tiny-serial",
                                       .batch       = 24,
                                       .sharding    = "tensor-1d",
                                       .mesh        = {{"data", "x"}, {"model", "y"}, {"pipeline", "dcn"}},
                                       .pipeline    = {{"schedule", "1f1b"}},
                                       .micro_batch = 1,
                                       .changes     = {"model.layers=8"}};

inline const SmallScenario two_pods{
    .slice = "4x3x2", .pods = 2, .batch = 48, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}};

} // namespace podsim::test
