#pragma once
// Scenarios small enough to simulate every chip of, on the machine of tests/data/generic.json.

#include "sim/evaluate/evaluate.hpp"
#include "sim/evaluate/figures.hpp"

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
  nlohmann::json pipeline = nullptr;     // the scenario's part of that name, if any
  int micro_batch         = 0;           // 0: none said
  std::vector<std::string> changes{};    // as of --set
  std::vector<std::string> replicated{}; // mesh axes that the sharding does not use
};

// A pipeline as SmallScenario takes it.
nlohmann::json pipeline_part(const std::string& schedule, int chunks);

// The scenario as a file's text would give it.
Prepared prepare(const SmallScenario& scenario);

// Simulates with the scenario's own software.
Trace simulate(const Prepared& prepared, Granularity granularity, bool explicit_devices, bool skip_repetitions = true);

// Simulates a program made by hand.
Trace simulate(const ShardedProgram& program, const Machine& machine, const Placement& placement,
               const CollectiveChoices& choices, Granularity granularity, bool explicit_devices = false,
               bool skip_repetitions = true);

// A program without stages: each block once, as often as it counts.
ShardedProgram one_stage(const Mesh& mesh, std::vector<DeviceBlock> blocks, ResidentBytes resident = {},
                         int prefetch_iterations = 0);

// The records of a trace with runs of operations taken apart, sorted by class, step, iteration and operation.
std::vector<TraceRecord> single_records(const Trace& trace, const ShardedProgram& program, const TimedProgram& timed,
                                        const Machine& machine);

// A figure by its name, of a run of which only the metrics are known.
std::optional<double> value_of(const std::string& name, const Metrics& metrics, Counting counting);

// An all-reduce of so many bytes between nodes of one chip each, by a name that software.dcn_all_reduce takes.
double all_reduce_seconds(int nodes, double bytes, const std::string& algorithm);

// Checks with Catch that two traces say the same to the last bit.
void check_same_trace(const Trace& one, const Trace& other, const Prepared& prepared, Granularity granularity);

} // namespace podsim::test
