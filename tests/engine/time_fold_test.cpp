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

// Gradients reduced over two parts of one axis, at once in two parts of the data: one goes within the hosts first, and
// may be under way in a host that is done with its layers while the other part waits for the slower host.
TEST_CASE("parts of the machine that meet in a collective of several parts are on one clock")
{
  const json near = {{"axis", "x"}, {"length", 2}};
  const json far  = {{"axis", "x"}, {"length", 2}, {"stride", 2}};
  for (const double speed : {0.999999, 0.97, 0.5})
    for (const Granularity granularity : {Granularity::automatic, Granularity::chunk}) {
      const SmallScenario s{
          .slice    = "4x2x1",
          .model    = "tiny-serial",
          .sharding = "tensor-1d",
          .mesh     = {{"data", {near, far}}, {"model", {"y", "z"}}},
          .changes  = {"model.layers=12", R"(software.reduce_after_backward=["data"])",
                       "software.multi_axis_collectives=concurrent",
                       fmt::format(R"(faults={{"chips": [{{"at": {{"x": 1, "y": 0}}, "compute": {}}}]}})", speed)}};
      check_same(s, granularity);
      CHECK_FALSE(test::simulate(test::prepare(s), granularity, false).repetitions.empty()); // of the other host
    }
}

// Each chip exchanges 8 MB with another pod, goes through 40 layers of 1 ms, and exchanges again. Two of a host are
// late to the first exchange: when they send, the others of the host are at the second, over the same NIC. (And another
// host has skipped layers.)
TEST_CASE("what a host sends before and after pods meet is simulated in full where both may be at once")
{
  const Prepared prepared = test::prepare({.slice   = "4x2x1",
                                           .pods    = 2,
                                           .mesh    = {{"data", {"x", "z"}}, {"model", "y"}, {"pod", "dcn"}},
                                           .changes = {R"(faults={"chips": [{"at": 0, "compute": 0.01}]})"}});
  const Scenario& own     = prepared.scenario;
  const auto collective   = [&](const char* axis, double bytes) {
    return DeviceOperation{.name       = axis,
                             .kind       = DeviceOperation::Kind::collective,
                             .collective = {CollectiveKind::all_reduce, own.mesh.find(axis), Bytes(bytes)}};
  };
  const auto block = [](std::int64_t count, std::vector<DeviceOperation> operations) {
    DeviceBlock one;
    one.count      = count;
    one.operations = std::move(operations);
    return one;
  };
  const auto run = [&](double late, bool skip) {
    DeviceOperation product{.name = "product", .kind = DeviceOperation::Kind::compute};
    product.work.matrix = {1, 1000, 1000, 50000 * late}; // 1 ms times `late`, a hundred times as long on the slow chip
    DeviceOperation layer{.name = "layer", .kind = DeviceOperation::Kind::compute};
    layer.work.hbm = Bytes(1e9);
    const ShardedProgram program =
        one_stage(own.mesh, {block(1, {product, collective("pod", 8e6)}), block(40, {layer, collective("model", 1e3)}),
                             block(1, {collective("pod", 8e6)})});
    return test::simulate(program, own.machine, own.placement, MultiAxis::sequential, Granularity::chunk, false, skip);
  };
  for (const double late : {0.1, 0.44}) { // 10 ms, 44 ms
    const Trace skipped = run(late, true);
    CHECK(skipped.fold_stopped == (late == 0.44));
    CHECK(skipped.end.value() == run(late, false).end.value());
  }
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
