// Folding in time: what is skipped and what is simulated in full say the same, to the last bit.

#include "reports/json.hpp"
#include "sim/core/random.hpp"
#include "sim/engine/executor.hpp"
#include "tests/support/small_scenario.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

// Returns how many layers and micro-batches were not simulated.
std::int64_t check_same(const SmallScenario& scenario, Granularity granularity)
{
  const Prepared prepared = test::prepare(scenario);
  CAPTURE(scenario.slice, scenario.pods, scenario.batch, scenario.sharding.dump(), scenario.software,
          scenario.pipeline.dump(), fmt::format("{}", fmt::join(scenario.changes, " ")), static_cast<int>(granularity));
  const Trace skipped = test::simulate(prepared, granularity, false, true);
  const Trace full    = test::simulate(prepared, granularity, false, false);
  CHECK(full.repetitions.empty());
  CHECK(skipped.activities <= full.activities);
  check_same_trace(skipped, full, prepared, granularity);
  // And so do the reports, but for what they say of the simulation.
  const auto report = [&](bool skip) {
    Evaluation result = evaluate(prepared, {{.granularity = granularity, .skip_repetitions = skip, .progress = {}}});
    result.simulation = {};
    result.simulation.class_list.resize(result.metrics->breakdowns.size());
    return to_json(result);
  };
  CHECK(report(true) == report(false));
  return skipped.repeated_layers + skipped.repeated_micro_batches;
}

// A choice by a draw.
template <class T> T one_of(const std::vector<T>& all, std::uint64_t seed, std::uint64_t what)
{
  return all[static_cast<std::size_t>(uniform(seed, what, 0) * static_cast<double>(all.size()))];
}

} // namespace

TEST_CASE("layers and micro-batches that repeat are skipped, and nothing changes: random programs")
{
  std::int64_t skipping = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto granularity =
        one_of<Granularity>({Granularity::automatic, Granularity::collective, Granularity::chunk}, seed, 1);
    SmallScenario s{.slice    = one_of<std::string>({"4x4x4", "4x4x2", "8x4x1"}, seed, 2),
                    .pods     = one_of<int>({1, 2}, seed, 3),
                    .model    = one_of<std::string>({"tiny", "tiny-serial"}, seed, 4),
                    .batch    = 128,
                    .sharding = one_of<std::string>({"gspmd-2d", "fsdp"}, seed, 5),
                    .software = one_of<std::string>({"xla-tpu-2021", "xla-tpu-2023"}, seed, 6)};
    s.mesh = {{"data", {"y", "z"}}, {"model", "x"}};
    if (s.sharding == "fsdp")
      s.mesh = {{"data", {"x", "y", "z"}}};
    if (s.pods == 2)
      s.mesh.emplace_back("pod", "dcn");
    s.changes = {fmt::format("model.layers={}", one_of<int>({2, 5, 12, 40}, seed, 7)),
                 "software.multi_axis_collectives=" + one_of<std::string>({"sequential", "concurrent"}, seed, 8)};
    if (uniform(seed, 9, 0) < 0.5)
      s.changes.insert(s.changes.end(), {R"(software.asynchronous=["gradient reductions","weight gathers"])",
                                         fmt::format("software.prefetch_layers={}", one_of<int>({1, 2, 3}, seed, 10))});
    if (uniform(seed, 11, 0) < 0.4)
      s.changes.push_back(fmt::format(R"(machine.chip.matrix_peak="{} TFLOP/s")", one_of<int>({3, 17, 71}, seed, 12)));
    if (uniform(seed, 13, 0) < 0.4)
      s.changes.push_back(
          R"(faults={"chips": [{"at": {"pod": 0, "x": 1, "y": 1, "z": 0}, "compute": 0.77}], "links": [{"at": 5, "axis": "x", "bandwidth": 0.6}]})");
    skipping += check_same(s, granularity) > 0 ? 1 : 0;
  }
  CHECK(skipping > 25);
}

TEST_CASE("layers and micro-batches that repeat are skipped, and nothing changes: random pipelines")
{
  std::int64_t skipping = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto granularity =
        one_of<Granularity>({Granularity::automatic, Granularity::collective, Granularity::chunk}, seed, 1);
    SmallScenario s{.slice       = "2x2x1",
                    .pods        = one_of<int>({2, 4}, seed, 2),
                    .model       = "tiny-serial",
                    .sharding    = one_of<std::string>({"tensor-1d", "gspmd-2d"}, seed, 3),
                    .software    = one_of<std::string>({"xla-tpu-2021", "xla-tpu-2023"}, seed, 4),
                    .mesh        = {{"data", "x"}, {"model", "y"}, {"pipeline", "dcn"}},
                    .micro_batch = 1,
                    .changes     = {"model.layers=8"}};
    s.batch    = 2 * one_of<int>({16, 32, 64}, seed, 5);
    s.pipeline = one_of<json>({json{{"schedule", "gpipe"}}, json{{"schedule", "1f1b"}}, json{{"schedule", "1f1b"}},
                               json{{"schedule", "interleaved"}, {"chunks", 2}}},
                              seed, 6);
    if (uniform(seed, 7, 0) < 0.5)
      s.changes.push_back("software.blocking_transfers=true");
    if (uniform(seed, 8, 0) < 0.3)
      s.changes.push_back(R"(software.asynchronous=["gradient reductions"])");
    if (s.pods == 4 && s.pipeline["schedule"] != "interleaved" && uniform(seed, 9, 0) < 0.5)
      s.pipeline["layers"] = one_of<json>({json{1, 3, 2, 2}, json{3, 2, 2, 1}}, seed, 10);
    if (uniform(seed, 11, 0) < 0.4)
      s.changes.push_back(R"(faults={"chips": [{"at": {"pod": 1, "x": 1, "y": 0}, "compute": 0.77}]})");
    skipping += check_same(s, granularity) > 0 ? 1 : 0;
  }
  CHECK(skipping > 15);
}

// A reduction over the DCN falls behind the stream by rows; what it waits for in its own row must be known when it
// comes to its turn, also after layers that were skipped.
TEST_CASE("layers that repeat are skipped while asynchronous reductions lag behind the stream")
{
  std::int64_t skipping = 0;
  for (const int sequence : {384, 512, 640})
    for (const int layers : {24, 60, 118}) {
      CAPTURE(sequence, layers);
      const Prepared prepared = podsim::prepare(read_scenario(resolve(
          PODSIM_SOURCE_DIR "/scenarios/training/palm-540b-batch-1024.json",
          {"software=nemo-2025", fmt::format("workload.sequence={}", sequence), fmt::format("model.layers={}", layers)},
          Catalogue(PODSIM_SOURCE_DIR))));
      const Trace skipped     = test::simulate(prepared, Granularity::automatic, false, true);
      CHECK_FALSE(skipped.fold_stopped);
      check_same_trace(skipped, test::simulate(prepared, Granularity::automatic, false, false), prepared,
                       Granularity::automatic);
      skipping += skipped.repeated_layers > 0 ? 1 : 0;
    }
  CHECK(skipping > 5);
}

TEST_CASE("where the fold in time cannot go on, all is simulated in full, and the report says so")
{
  const SmallScenario s{.changes = {"model.layers=40"}};
  const Prepared prepared = test::prepare(s);
  auto* const calls       = static_cast<std::atomic<int>*>(
      mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  REQUIRE(calls != MAP_FAILED);
  SimulationOptions options;
  options.progress = [&](double) { // in the child: the first simulation stops at once
    if (calls->fetch_add(1) == 0)
      throw FoldStopped("a mistake");
  };
  const Evaluation full = evaluate(prepared, {{.skip_repetitions = false, .progress = {}}});
  Evaluation result     = evaluate(prepared, {options});
  CHECK(calls->load() > 1);
  CHECK(result.simulation.fold_stopped);
  CHECK(result.simulation.activities == full.simulation.activities);
  CHECK(result.metrics->step_time.value() == full.metrics->step_time.value());
  CHECK(json::parse(to_json(result)).at("simulation").at("fold_stopped") == true);
  CHECK_FALSE(json::parse(to_json(full)).at("simulation").contains("fold_stopped"));
  munmap(calls, sizeof(std::atomic<int>));
}

TEST_CASE("what has been skipped does not depend on how many layers there are")
{
  // Two pods of which one is slow keep different paces, and each recurs by itself: more layers cost nothing.
  const auto activities = [](int layers) {
    const SmallScenario s{
        .slice   = "4x4x2",
        .pods    = 2,
        .batch   = 64,
        .mesh    = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}},
        .changes = {fmt::format("model.layers={}", layers),
                    R"(faults={"chips": [{"at": {"pod": 0, "x": 1, "y": 1, "z": 0}, "compute": 0.8}]})"}};
    return test::simulate(test::prepare(s), Granularity::chunk, false).activities;
  };
  CHECK(activities(400) == activities(100));
  CHECK(activities(30) <= activities(100));
}
