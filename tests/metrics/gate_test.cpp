#include "sim/metrics/gate.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace podsim;

TEST_CASE("the gate compares what is better or worse first")
{
  const std::vector<std::string> names = gated_names();
  const auto at = [&](const char* name) { return std::find(names.begin(), names.end(), name) - names.begin(); };
  CHECK(names.front() == "step_time_s");
  CHECK(at("memory_per_chip_bytes") < at("model_flops_per_token"));
  CHECK(names.back() == gated_breakdown);
}
