#pragma once
// Scenarios small enough to simulate every chip of, on the machine of tests/data/generic.json.

#include "sim/app/pipeline.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace podsim::test {

struct SmallScenario {
  std::string slice       = "4x4x4";
  int pods                = 1;
  std::string model       = "tiny"; // of tests/data
  int batch               = 64;
  std::string remat       = "full";
  nlohmann::json sharding = "gspmd-2d";
  std::string software    = "xla-tpu-2021";
  // Mesh axis -> where it lies; sizes follow.
  std::vector<std::pair<std::string, nlohmann::json>> mesh{{"data", {"y", "z"}}, {"model", "x"}};
  std::vector<std::string> changes{}; // as of --set
};

// The scenario as a file's text would give it.
Prepared prepare(const SmallScenario& scenario);

// Simulates with the scenario's own software.
Trace simulate(const Prepared& prepared, Granularity granularity, bool explicit_devices);

} // namespace podsim::test
