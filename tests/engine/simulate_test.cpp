// The engine against the evaluator: every operation of every device ends at the same time in both.

#include "tests/support/evaluator.hpp"
#include "tests/support/small_scenario.hpp"

#include "scenarios/resolve.hpp"
#include "sim/evaluate/evaluate.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <unistd.h>

using namespace podsim;
using namespace podsim::test;
using nlohmann::json;

namespace {

// ---- Scenarios ----

json tiny_model()
{
  return {{"name", "tiny"},        {"source", "a test"},     {"kind", "decoder"}, {"layers", 2},
          {"d_model", 512},        {"d_ff", 1536},           {"heads", 8},        {"key_value_heads", 8},
          {"head_dim", 64},        {"vocabulary", 1000},     {"mlp", "plain"},    {"block", "serial"},
          {"positions", "rotary"}, {"tied_embedding", true}, {"norm_scale", true}};
}

// A chip and links slow enough for a tiny model to keep them busy.
json tiny_machine(const std::string& slice, int pods)
{
  return {{"base", "tpu-v4"},
          {"chip", {{"base", "tpu-v4"}, {"matrix_peak", "20 TFLOP/s"}, {"hbm_bandwidth", "700 GB/s"}}},
          {"slice", slice},
          {"pods", pods},
          {"ici", {{"link_bandwidth", "11 GB/s"}, {"hop_latency", "1.3 us"}}},
          {"host", {{"nic_bandwidth", "19 Gb/s"}}},
          {"dcn", {{"latency", "23 us"}}}};
}

json tiny_scenario(const std::string& slice, int pods, const json& mesh)
{
  return {{"schema_version", 1},
          {"name", "tiny"},
          {"model", tiny_model()},
          {"machine", tiny_machine(slice, pods)},
          {"workload", {{"batch", 128}, {"sequence", 64}, {"remat", "none"}, {"optimizer", "adamw"}}},
          {"mesh", mesh},
          {"sharding", "gspmd-2d"},
          {"software", {{"base", "xla-tpu-2021"}, {"multi_axis_collectives", "sequential"}}}};
}

std::string axis_name(std::size_t axis)
{
  return {static_cast<char>('x' + static_cast<int>(axis))};
}

json mesh_axis(std::int64_t size, const json& on)
{
  return {{"size", size}, {"on", on}};
}

class TemporaryFolder {
public:
  TemporaryFolder() : path_(std::filesystem::temp_directory_path() / fmt::format("podsim-evaluator-test-{}", getpid()))
  {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder()
  {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&)            = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

private:
  std::filesystem::path path_;
};

Prepared prepared_from(const json& scenario, const std::vector<std::string>& changes = {})
{
  const TemporaryFolder folder;
  std::ofstream(folder.file("scenario.json")) << scenario.dump(2);
  const Catalogue catalogue(PODSIM_SOURCE_DIR);
  return podsim::prepare(read_scenario(resolve(folder.file("scenario.json"), changes, catalogue)));
}

// ---- Comparison ----

struct Case { // what both simulate
  ShardedProgram program;
  Machine machine;
  Placement placement;
  MultiAxis multi_axis = MultiAxis::sequential;
};

Case case_from(const Prepared& prepared)
{
  return {prepared.sharded, prepared.scenario.machine, prepared.scenario.placement,
          prepared.scenario.software.collectives.multi_axis};
}

Timeline evaluated(const Case& c, Granularity granularity)
{
  return evaluate(c.program, c.machine, c.placement, c.multi_axis, granularity);
}

bool agree(Seconds engine, Ticks own)
{
  const double expected = to_seconds(static_cast<double>(own)).value();
  return std::abs(engine.value() - expected) <= 1e-9 * expected;
}

// Simulates, and compares the step time and the end of each operation: on each class's representative, and on all
// devices of the class, which must be as alike as the fold says.
void check_engine(const Case& c, Granularity granularity, const Timeline& timeline)
{
  const TimedProgram timed      = time_program(c.program, c.machine, c.placement, c.multi_axis, granularity);
  const DeviceClasses partition = fold(c.machine, c.placement, c.program.pipeline);
  const Trace trace             = podsim::simulate(c.program, timed, c.machine, c.placement, partition,
                                                   {.granularity = granularity, .progress = {}});
  CAPTURE(static_cast<int>(granularity), trace.end.value(), to_seconds(static_cast<double>(timeline.end)).value());
  CHECK(agree(trace.end, timeline.end));
  REQUIRE(partition.classes.size() == trace.classes.size());
  std::vector<std::vector<std::int64_t>> devices(trace.classes.size());
  for (std::int64_t device = 0; device < c.machine.devices(); ++device)
    devices[static_cast<std::size_t>(partition.of(device))].push_back(device);
  std::size_t executions = 0;
  for (std::size_t own = 0; own < devices.size(); ++own) {
    REQUIRE(devices[own].front() == trace.classes[own].representative);
    for (const std::int64_t device : devices[own])
      REQUIRE(timeline.stages[static_cast<std::size_t>(device)] == trace.stages[own]);
    executions += timeline.ends[static_cast<std::size_t>(devices[own].front())].size();
  }
  const std::vector<TraceRecord> records = single_records(trace, c.program, timed, c.machine);
  REQUIRE(records.size() == executions);
  for (const TraceRecord& record : records) {
    const auto own = static_cast<std::size_t>(record.device_class);
    for (const std::int64_t device : devices[own]) {
      const Ticks end = timeline.end_of(device, record.step, record.iteration, record.operation);
      if (agree(record.end, end))
        continue;
      const Stage& stage       = c.program.stages[trace.stages[own]];
      const Step& step         = stage.steps[static_cast<std::size_t>(record.step)];
      const DeviceBlock& block = c.program.programs[stage.program].blocks[static_cast<std::size_t>(step.block)];
      FAIL(fmt::format("step {}, {}, iteration {}, {}: device {} of class {} ends at {} ticks, in the engine at {}",
                       record.step, block.name, record.iteration,
                       block.operations[static_cast<std::size_t>(record.operation)].name, device, own, end,
                       record.end.value() * ticks_per_second));
    }
  }
}

// With collectives as single events, which use no links: unless transfers get in each other's way.
bool check_collective(const Case& c)
{
  const Timeline timeline = evaluated(c, Granularity::collective);
  if (!timeline.contended)
    check_engine(c, Granularity::collective, timeline);
  return !timeline.contended;
}

bool closed_rings_only(const Case& c)
{
  for (const AxisPlacement& axis : c.placement)
    for (const AxisFactor& factor : axis)
      if (!factor.closed && factor.length > 1)
        return false;
  return true;
}

// By chunks as well if no link is shared, and says whether that is so. On closed rings it makes no difference then
// which collectives go by chunks.
bool check_where_apart(const Case& c)
{
  check_collective(c);
  const Timeline by_chunks = evaluated(c, Granularity::chunk);
  if (by_chunks.contended)
    return false;
  check_engine(c, Granularity::chunk, by_chunks);
  if (closed_rings_only(c))
    check_engine(c, Granularity::automatic, by_chunks);
  return true;
}

void check_all_granularities(const Case& c)
{
  REQUIRE(check_where_apart(c));
}

// ---- Programs by hand, on a machine whose units take a tick a byte ----

Machine plain_machine(const std::vector<std::int64_t>& shape, bool closed, std::int64_t pods = 1)
{
  const double rate = ticks_per_second;
  Machine machine;
  machine.chip.matrix_peak   = FlopsPerSecond(rate);
  machine.chip.hbm_bandwidth = BytesPerSecond(rate);
  machine.chip.vector_rate   = OpsPerSecond(rate);
  for (const std::int64_t size : shape)
    machine.lattice.axes.push_back({axis_name(machine.lattice.axes.size()), AxisKind::ici, size, closed});
  machine.lattice.axes.push_back({"dcn", AxisKind::dcn, pods, true});
  machine.ici.bandwidth       = BytesPerSecond(rate);
  machine.ici.latency         = to_seconds(10'000);
  machine.host.block          = {2, 2, 1, 1};
  machine.host.pcie_bandwidth = BytesPerSecond(rate);
  machine.host.nic_bandwidth  = BytesPerSecond(rate);
  machine.dcn_latency         = to_seconds(70'000);
  return machine;
}

// Whole axes of the lattice.
AxisPlacement on_axes(const Machine& machine, const std::vector<std::size_t>& axes)
{
  AxisPlacement placement;
  for (const std::size_t axis : axes)
    placement.push_back({axis, machine.lattice.axes[axis].size, 1, machine.lattice.axes[axis].closed});
  return placement;
}

AxisPlacement on_dcn(const Machine& machine)
{
  return on_axes(machine, {machine.dcn_axis()});
}

DeviceOperation compute(Ticks time, std::vector<int> needs = {})
{
  DeviceOperation operation{.name = "compute"};
  operation.work.hbm = Bytes(static_cast<double>(time));
  operation.needs    = std::move(needs);
  return operation;
}

DeviceOperation collective(CollectiveKind kind, AxisMask axes, double full, std::vector<int> needs = {})
{
  DeviceOperation operation{.name = name(kind), .kind = DeviceOperation::Kind::collective};
  operation.collective = {kind, axes, Bytes(full)};
  operation.needs      = std::move(needs);
  return operation;
}

DeviceOperation asynchronous(DeviceOperation operation)
{
  operation.asynchronous = true;
  return operation;
}

ShardedProgram program_of(std::vector<DeviceBlock> blocks, int prefetch = 0)
{
  return one_stage({}, std::move(blocks), {}, prefetch);
}

DeviceBlock block_of(std::int64_t count, std::vector<DeviceOperation> operations)
{
  DeviceBlock block;
  block.name       = "block";
  block.count      = count;
  block.operations = std::move(operations);
  return block;
}

Case one_collective(CollectiveKind kind, double full, const Machine& machine, const AxisPlacement& placement)
{
  return {program_of({block_of(1, {collective(kind, 1, full)})}), machine, {placement}};
}

constexpr CollectiveKind gather  = CollectiveKind::all_gather;
constexpr CollectiveKind scatter = CollectiveKind::reduce_scatter;
constexpr CollectiveKind reduce  = CollectiveKind::all_reduce;

} // namespace

TEST_CASE("evaluator: collectives take the times that one works out by hand")
{
  const auto check = [](const Case& c, Ticks expected) {
    CHECK(evaluated(c, Granularity::collective).end == expected);
    CHECK(evaluated(c, Granularity::chunk).end == expected);
    check_all_granularities(c);
  };
  const Machine ring4 = plain_machine({4, 1, 1}, true);
  SECTION("ring of 4: one step of a whole shard, one of half")
  {
    for (const CollectiveKind kind : {gather, scatter})
      check(one_collective(kind, 400'000, ring4, on_axes(ring4, {0})), 2 * 10'000 + 100'000 + 50'000);
    check(one_collective(reduce, 400'000, ring4, on_axes(ring4, {0})), 2 * (2 * 10'000 + 100'000 + 50'000));
  }
  SECTION("ring of 5: two whole steps")
  {
    const Machine machine = plain_machine({1, 5, 1}, true);
    check(one_collective(gather, 500'000, machine, on_axes(machine, {1})), 2 * (10'000 + 100'000));
  }
  SECTION("open line of 5: four steps")
  {
    const Machine machine = plain_machine({1, 1, 5}, false);
    for (const CollectiveKind kind : {gather, scatter})
      check(one_collective(kind, 500'000, machine, on_axes(machine, {2})), 4 * (10'000 + 100'000));
  }
  SECTION("by chunks, the middle of an open line has gathered all a step before its ends")
  {
    const Machine machine = plain_machine({1, 1, 5}, false);
    const Timeline timeline =
        evaluated(one_collective(gather, 500'000, machine, on_axes(machine, {2})), Granularity::chunk);
    CHECK(timeline.end_of(0, 0, 0, 0) == 4 * 110'000);
    CHECK(timeline.end_of(2, 0, 0, 0) == 3 * 110'000);
  }
  SECTION("ring of every other chip: each chunk over two links")
  {
    const Machine machine = plain_machine({8, 1, 1}, true);
    const Case c{
        program_of({block_of(1, {collective(gather, 1, 400'000)})}), machine, {{{0, 4, 2, true}}, {{0, 2, 1, false}}}};
    check(c, 2 * (2 * 10'000 + 100'000 + 50'000));
  }
  SECTION("two axes: the shards of 2 chips, then those of 8")
  {
    const Machine machine = plain_machine({4, 2, 1}, true);
    const Ticks on_x = 2 * 10'000 + 200'000 + 100'000, on_y = 10'000 + 50'000;
    for (const CollectiveKind kind : {gather, scatter})
      check(one_collective(kind, 800'000, machine, on_axes(machine, {0, 1})), on_x + on_y);
  }
  SECTION("two equal axes at once: half of the data begins on each")
  {
    const Machine machine = plain_machine({4, 4, 1}, true);
    Case c                = one_collective(gather, 3'200'000, machine, on_axes(machine, {0, 1}));
    c.multi_axis          = MultiAxis::concurrent;
    check(c, 2 * 20'000 + 100'000 + 50'000 + 400'000 + 200'000);
  }
  SECTION("three pods: four chips share the NIC")
  {
    const Machine machine = plain_machine({2, 2, 1}, true, 3);
    const Case c          = one_collective(gather, 300'000, machine, on_dcn(machine));
    check(c, 2 * 4 * 100'000 + 70'000);
  }
  SECTION("two pods: PCIe holds a chip back")
  {
    Machine machine             = plain_machine({2, 2, 1}, true, 2);
    machine.host.pcie_bandwidth = machine.host.nic_bandwidth / 8;
    check(one_collective(reduce, 200'000, machine, on_dcn(machine)), 2 * 8 * 100'000 + 70'000);
  }
}

TEST_CASE("evaluator: streams and queues run as one works out by hand")
{
  const Machine machine = plain_machine({4, 2, 1}, true);
  const Placement placement{on_axes(machine, {0}), on_axes(machine, {1})};
  constexpr Ticks long_one = 170'000, short_one = 35'000; // of 400'000 bytes on x, of 100'000 on y
  const auto check = [&](std::vector<DeviceBlock> blocks, int prefetch, Ticks expected) {
    const Case c{program_of(std::move(blocks), prefetch), machine, placement};
    CHECK(evaluated(c, Granularity::collective).end == expected);
    check_all_granularities(c);
  };
  const DeviceOperation on_x = collective(gather, 1, 400'000), on_y = collective(gather, 2, 100'000);

  SECTION("blocking collectives stand in the order")
  {
    check({block_of(3, {compute(100'000), on_x, on_y})}, 0, 3 * (100'000 + long_one + short_one));
  }
  SECTION("weights gathered for the iteration itself are not hidden")
  {
    check({block_of(3, {asynchronous(on_x), compute(200'000, {0})})}, 0, 3 * (long_one + 200'000));
  }
  SECTION("weights gathered one iteration ahead are")
  {
    for (const int prefetch : {1, 2, 9})
      check({block_of(3, {asynchronous(on_x), compute(200'000, {0})})}, prefetch, long_one + 3 * 200'000);
  }
  SECTION("where gathers take longest they follow each other")
  {
    check({block_of(4, {asynchronous(on_x), compute(100'000, {0})})}, 1, 4 * long_one + 100'000);
  }
  SECTION("the window opens with the iteration, not before")
  {
    // Gathers of 170 at 0, 170; then the third with the second iteration, at 470.
    check({block_of(3, {asynchronous(on_x), compute(300'000, {0})}),
           block_of(1, {asynchronous(on_x), compute(1'000, {0})})},
          1, long_one + 3 * 300'000 + 1'000);
  }
  SECTION("one queue for each set of mesh axes, first in, first out")
  {
    // x: a reduction from 50 to 220, the next from 220 to 390. y: 100 to 135. The last operation needs y only.
    DeviceBlock update      = block_of(1, {compute(10'000)});
    const DeviceBlock layer = block_of(1, {compute(50'000), asynchronous(collective(scatter, 1, 400'000, {0})),
                                           compute(50'000), asynchronous(collective(scatter, 1, 400'000, {2})),
                                           asynchronous(collective(scatter, 2, 100'000, {2})), compute(20'000, {4})});
    check({layer, update}, 0, 390'000);
    update.waits_for_asynchronous = true;
    check({layer, update}, 0, 50'000 + 2 * long_one + 10'000);
  }
  SECTION("the head of a queue that waits holds up those behind it")
  {
    // y from 10 to 45 must precede x from 45 to 215; the second on x, though it needs nothing more, from 215.
    check({block_of(1, {compute(10'000), asynchronous(collective(gather, 2, 100'000, {0})),
                        asynchronous(collective(gather, 1, 400'000, {1})),
                        asynchronous(collective(gather, 1, 400'000, {0})), compute(5'000, {3})})},
          0, 10'000 + short_one + 2 * long_one + 5'000);
  }
}

TEST_CASE("evaluator: blocking collectives on one pod, by remat, agree with the engine")
{
  const std::string remat = GENERATE("none", "full", "attention");
  json scenario = tiny_scenario("4x4x4", 1, {{"data", mesh_axis(16, {"y", "z"})}, {"model", mesh_axis(4, "x")}});
  scenario["workload"]["remat"] = remat;
  CAPTURE(remat);
  SECTION("two-dimensional")
  {
    check_all_granularities(case_from(prepared_from(scenario)));
  }
  SECTION("two-dimensional, PaLM-like model")
  {
    scenario["model"]["block"]           = "parallel";
    scenario["model"]["mlp"]             = "gated";
    scenario["model"]["key_value_heads"] = 1;
    scenario["model"]["layers"]          = 4;
    check_all_granularities(case_from(prepared_from(scenario)));
  }
  SECTION("tensor")
  {
    scenario["sharding"] = "tensor-1d";
    check_all_granularities(case_from(prepared_from(scenario)));
  }
}

TEST_CASE("evaluator: all axes for data agree with the engine")
{
  const std::string sharding    = GENERATE("fsdp", "data-parallel");
  json scenario                 = tiny_scenario("4x4x4", 1, {{"data", mesh_axis(64, {"x", "y", "z"})}});
  scenario["sharding"]          = sharding;
  scenario["workload"]["remat"] = "full";
  CAPTURE(sharding);
  SECTION("blocking")
  {
    check_all_granularities(case_from(prepared_from(scenario)));
  }
  SECTION("weights gathered ahead")
  {
    scenario["software"] = "xla-tpu-2023";
    for (const int prefetch : {0, 1, 2})
      check_collective(case_from(prepared_from(scenario, {fmt::format("software.prefetch_layers={}", prefetch)})));
  }
  SECTION("all in one queue")
  {
    const std::vector<std::string> changes{R"(software.asynchronous=["weight gathers","gradient reductions"])",
                                           "software.prefetch_layers=1"};
    check_all_granularities(case_from(prepared_from(scenario, changes)));
  }
}

TEST_CASE("evaluator: two pods agree with the engine")
{
  const std::string sharding = GENERATE("gspmd-2d", "tensor-1d", "data-parallel");
  const json mesh{{"data", mesh_axis(16, {"y", "z"})}, {"model", mesh_axis(4, "x")}, {"pod", mesh_axis(2, "dcn")}};
  json scenario = tiny_scenario("4x4x4", 2, mesh);
  if (sharding == "data-parallel")
    scenario["mesh"] = {{"data", mesh_axis(64, {"y", "z", "x"})}, {"pod", mesh_axis(2, "dcn")}};
  scenario["sharding"] = sharding;
  CAPTURE(sharding);
  SECTION("reduced after the backward pass")
  {
    check_all_granularities(case_from(prepared_from(scenario)));
  }
  SECTION("reduced behind each layer, blocking")
  {
    check_all_granularities(case_from(prepared_from(scenario, {"software.reduce_after_backward=[]"})));
  }
  SECTION("reduced behind each layer, asynchronous")
  {
    scenario["software"] = "xla-tpu-2023";
    check_collective(
        case_from(prepared_from(scenario, {"software.reduce_after_backward=[]",
                                           R"(software.asynchronous=["weight gathers","gradient reductions"])"})));
  }
}

TEST_CASE("evaluator: open lines and parts of torus axes agree with the engine")
{
  SECTION("open lines of 6: chips in the middle are done early")
  {
    json scenario = tiny_scenario("6x2x2", 1, {{"data", mesh_axis(4, {"y", "z"})}, {"model", mesh_axis(6, "x")}});
    scenario["machine"]["ici"]["cube"] = 6;
    scenario["model"]["heads"] = scenario["model"]["key_value_heads"] = 12;
    scenario["model"]["d_model"]                                      = 384;
    const Case c                                                      = case_from(prepared_from(scenario));
    check_all_granularities(c);
    CHECK(evaluated(c, Granularity::chunk).end <= evaluated(c, Granularity::collective).end);
  }
  SECTION("an axis of 8 as lines of 4 and rings over every 4th chip")
  {
    const json line = {{"axis", "x"}, {"length", 4}}, ring = {{"axis", "x"}, {"length", 2}, {"stride", 4}};
    check_all_granularities(case_from(prepared_from(
        tiny_scenario("8x4x4", 1, {{"data", mesh_axis(32, {"y", ring, "z"})}, {"model", mesh_axis(4, line)}}))));
  }
  SECTION("rings over every other chip, lines of 2")
  {
    const json line = {{"axis", "z"}, {"length", 2}}, ring = {{"axis", "z"}, {"length", 4}, {"stride", 2}};
    check_all_granularities(case_from(prepared_from(
        tiny_scenario("4x4x8", 1, {{"data", mesh_axis(16, {ring, "x"})}, {"model", mesh_axis(8, {line, "y"})}}))));
  }
}

// ---- Random cases ----

namespace {

// The same numbers everywhere, which the distributions of <random> do not promise.
class Draw {
public:
  explicit Draw(std::uint64_t seed) : random_(seed) {}
  std::int64_t below(std::int64_t limit)
  {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(limit));
  }
  std::int64_t between(std::int64_t least, std::int64_t most) { return least + below(most - least + 1); }
  bool flip() { return below(2) == 1; }
  template <class T> T one_of(const std::vector<T>& all)
  {
    return all[static_cast<std::size_t>(below(static_cast<std::int64_t>(all.size())))];
  }

private:
  std::mt19937_64 random_;
};

struct Slice {
  std::vector<std::int64_t> shape;
  int cube; // 1 closes every axis, more than the longest axis opens all
  std::vector<int> host;
};

// A mesh over the whole slice. Where the x axis is long and closed it may be shared by both mesh axes.
json draw_mesh(Draw& draw, const Slice& lattice, int pods)
{
  const std::vector<std::int64_t>& shape = lattice.shape;
  const auto size                        = [&](const std::vector<std::size_t>& axes) {
    std::int64_t product = 1;
    for (const std::size_t axis : axes)
      product *= shape[axis];
    return product;
  };
  const auto on = [&](std::vector<std::size_t> axes) {
    if (axes.size() > 1 && draw.flip())
      std::reverse(axes.begin(), axes.end());
    json names = json::array();
    for (const std::size_t axis : axes)
      names.push_back(axis_name(axis));
    return mesh_axis(size(axes), names);
  };
  json mesh;
  switch (draw.below(lattice.cube == 1 && shape[0] % 4 == 0 ? 5 : 4)) {
  case 0:
    mesh = {{"data", on({0, 1, 2})}};
    break;
  case 1:
    mesh = {{"data", on({1, 2})}, {"model", on({0})}};
    break;
  case 2:
    mesh = {{"data", on({0})}, {"model", on({1, 2})}};
    break;
  case 3:
    mesh = {{"data", on({0, 2})}, {"model", on({1})}};
    break;
  default: {
    const json line = {{"axis", "x"}, {"length", shape[0] / 2}},
               ring = {{"axis", "x"}, {"length", 2}, {"stride", shape[0] / 2}};
    mesh = {{"data", mesh_axis(2 * shape[1], {ring, "y"})}, {"model", mesh_axis(shape[0] / 2 * shape[2], {"z", line})}};
  }
  }
  if (pods > 1)
    mesh["pod"] = mesh_axis(pods, "dcn");
  return mesh;
}

json draw_scenario(Draw& draw)
{
  const auto lattice = draw.one_of<Slice>({{{4, 4, 4}, 4, {2, 2, 1}},
                                           {{8, 4, 2}, 1, {2, 2, 1}},
                                           {{8, 2, 1}, 1, {2, 2, 1}},
                                           {{5, 3, 2}, 1, {1, 1, 1}},
                                           {{3, 2, 2}, 1, {1, 2, 2}},
                                           {{4, 6, 1}, 1, {2, 2, 1}},
                                           {{2, 2, 4}, 4, {1, 1, 1}},
                                           {{7, 2, 2}, 8, {1, 1, 1}},
                                           {{2, 6, 1}, 8, {1, 1, 1}}});
  const int pods     = static_cast<int>(draw.one_of<std::int64_t>({1, 1, 2, 2, 3}));
  const json mesh    = draw_mesh(draw, lattice, pods);
  const auto split = [&](const char* axis) { return mesh.contains(axis) ? mesh[axis]["size"].get<std::int64_t>() : 1; };
  json scenario    = tiny_scenario(fmt::format("{}", fmt::join(lattice.shape, "x")), pods, mesh);

  json& model              = scenario["model"];
  model["layers"]          = draw.between(2, 4);
  model["heads"]           = split("model") * draw.between(1, 2);
  model["key_value_heads"] = draw.flip() ? model["heads"] : json(1);
  model["head_dim"]        = draw.one_of<int>({32, 64, 100});
  model["d_model"]         = split("data") * split("model") * draw.between(1, 12);
  model["d_ff"]            = split("model") * draw.between(20, 200);
  model["vocabulary"]      = draw.between(300, 3000);
  model["mlp"]             = draw.flip() ? "gated" : "plain";
  model["block"]           = draw.flip() ? "parallel" : "serial";
  model["tied_embedding"]  = draw.flip();
  model["positions"]       = draw.flip() ? json("rotary") : json{{"learned", 128}};

  json& machine                     = scenario["machine"];
  machine["ici"]["cube"]            = lattice.cube;
  machine["ici"]["link_bandwidth"]  = fmt::format("{} MB/s", draw.between(2'000, 50'000));
  machine["ici"]["hop_latency"]     = fmt::format("{} ns", draw.between(50, 2'000));
  machine["host"]["chips"]          = lattice.host;
  machine["host"]["nic_bandwidth"]  = fmt::format("{} Mb/s", draw.between(5'000, 90'000));
  machine["host"]["pcie_bandwidth"] = "16 GB/s"; // more than a NIC carries, see below
  machine["dcn"]["latency"]         = fmt::format("{} us", draw.between(1, 50));
  machine["chip"]["matrix_peak"]    = fmt::format("{} TFLOP/s", draw.between(1, 50));

  scenario["workload"] = {{"batch", split("data") * pods * draw.between(1, 3)},
                          {"sequence", 16 * draw.between(1, 6)},
                          {"remat", draw.one_of<std::string>({"none", "full", "attention"})},
                          {"optimizer", draw.one_of<std::string>({"adamw", "adafactor-factored"})}};
  scenario["sharding"] = draw.one_of<std::string>({"gspmd-2d", "gspmd-2d", "fsdp", "data-parallel", "tensor-1d"});
  if (!mesh.contains("model"))
    scenario["sharding"] = draw.one_of<std::string>({"fsdp", "data-parallel"});
  else if (scenario["sharding"] == "fsdp" || scenario["sharding"] == "data-parallel")
    scenario["replicated"] = {"model"};
  json asynchronous = json::array();
  for (const char* what : {"weight gathers", "gradient reductions"})
    if (draw.flip())
      asynchronous.push_back(what);
  scenario["software"] = {{"base", draw.flip() ? "xla-tpu-2021" : "xla-tpu-2023"},
                          {"asynchronous", asynchronous},
                          {"prefetch_layers", draw.below(4)},
                          {"multi_axis_collectives", draw.flip() ? "sequential" : "concurrent"},
                          {"gradient_dtype", draw.flip() ? "bf16" : "f32"},
                          {"reduce_after_backward", draw.flip() ? json{"pod"} : json::array()}};
  return scenario;
}

} // namespace

TEST_CASE("evaluator: random scenarios agree with the engine")
{
  Draw draw(20220405);
  int by_chunks = 0;
  for (int i = 0; i < 30; ++i) {
    const json scenario = draw_scenario(draw);
    INFO("draw " << i << ": " << scenario.dump());
    by_chunks += check_where_apart(case_from(prepared_from(scenario))) ? 1 : 0;
  }
  CHECK(by_chunks >= 10);
}

namespace {

// Stages on the DCN, on a ring or on an open line; hosts are of one stage each.
json draw_pipeline(Draw& draw)
{
  const bool dcn            = draw.below(3) == 0;
  const bool closed         = draw.flip();
  const std::int64_t stages = draw.between(2, 4);
  const int pods            = static_cast<int>(dcn ? stages : draw.between(1, 2));
  json mesh;
  if (dcn)
    mesh = {{"data", mesh_axis(4, "x")}, {"model", mesh_axis(2, "y")}, {"pipeline", mesh_axis(stages, "dcn")}};
  else
    mesh = {{"data", mesh_axis(2, "y")}, {"model", mesh_axis(2, "z")}, {"pipeline", mesh_axis(stages, "x")}};
  if (!dcn && pods > 1)
    mesh["pod"] = mesh_axis(pods, "dcn");
  json scenario = tiny_scenario(dcn ? "4x2x1" : fmt::format("{}x2x2", stages), pods, mesh);

  const bool interleaved      = (dcn || closed) && draw.below(3) == 0;
  const std::int64_t chunks   = interleaved ? 2 : 1;
  scenario["pipeline"]        = {{"schedule", interleaved ? "interleaved" : draw.flip() ? "1f1b" : "gpipe"}};
  scenario["model"]["layers"] = stages * chunks * draw.between(1, 2);
  if (interleaved)
    scenario["pipeline"]["chunks"] = chunks;
  const std::int64_t micro_batches = interleaved ? stages * draw.between(1, 2) : draw.between(1, 6);
  const std::int64_t replicas      = (dcn ? 4 : 2) * (mesh.contains("pod") ? pods : 1);
  scenario["workload"]             = {{"batch", micro_batches * replicas},
                                      {"sequence", 16 * draw.between(1, 4)},
                                      {"remat", draw.flip() ? "none" : "full"},
                                      {"optimizer", "adamw"},
                                      {"micro_batch", 1}};

  json& machine                     = scenario["machine"];
  machine["ici"]["cube"]            = closed ? 1 : 8;
  machine["ici"]["link_bandwidth"]  = fmt::format("{} MB/s", draw.between(2'000, 50'000));
  machine["ici"]["hop_latency"]     = fmt::format("{} ns", draw.between(50, 2'000));
  machine["host"]["chips"]          = dcn ? json{2, 2, 1} : json{1, 2, 2};
  machine["host"]["nic_bandwidth"]  = fmt::format("{} Mb/s", draw.between(5'000, 90'000));
  machine["host"]["pcie_bandwidth"] = "16 GB/s";
  machine["dcn"]["latency"]         = fmt::format("{} us", draw.between(1, 50));

  scenario["sharding"] = draw.one_of<std::string>({"gspmd-2d", "tensor-1d"});
  json asynchronous    = json::array();
  for (const char* what : {"weight gathers", "gradient reductions"})
    if (draw.below(3) == 0)
      asynchronous.push_back(what);
  scenario["software"] = {{"base", "xla-tpu-2021"},
                          {"asynchronous", asynchronous},
                          {"prefetch_layers", draw.below(3)},
                          {"multi_axis_collectives", draw.one_of<std::string>({"sequential", "pipelined"})},
                          {"blocking_transfers", draw.flip()},
                          {"scattered_transfers", draw.flip()}};
  if (scenario["sharding"] == "tensor-1d" && draw.flip())
    scenario["software"]["reduce_gradients"] = "last micro-batch";
  return scenario;
}

} // namespace

TEST_CASE("evaluator: random pipelines agree with the engine")
{
  Draw draw(19890604);
  int as_events = 0;
  int by_chunks = 0;
  for (int i = 0; i < 60; ++i) {
    const json scenario = draw_pipeline(draw);
    INFO("draw " << i << ": " << scenario.dump());
    const Case c = case_from(prepared_from(scenario));
    as_events += check_collective(c) ? 1 : 0;
    by_chunks += check_where_apart(c) ? 1 : 0;
  }
  CHECK(as_events >= 20);
  CHECK(by_chunks >= 10);
}

namespace {

// Operations in any order, needing any before them, that no partitioner would make. Durations are few, so that
// much ends at one time.
ShardedProgram draw_program(Draw& draw, AxisMask axes)
{
  std::vector<DeviceBlock> blocks;
  for (std::int64_t b = draw.between(1, 4); b > 0; --b) {
    std::vector<DeviceOperation> operations{compute(50'000)};
    for (std::int64_t i = draw.between(2, 14); i > 0; --i) {
      std::vector<int> needs;
      for (int earlier = 0; earlier < static_cast<int>(operations.size()); ++earlier)
        if (draw.below(4) == 0)
          needs.push_back(earlier);
      if (draw.below(3) == 0) {
        operations.push_back(compute(50'000 * draw.between(1, 9), needs));
        continue;
      }
      const AxisMask over = 1U + static_cast<AxisMask>(draw.below(axes));
      operations.push_back(collective(draw.one_of<CollectiveKind>({gather, scatter, reduce}), over,
                                      static_cast<double>(120'000 * draw.between(1, 9)),
                                      draw.flip() ? needs : std::vector<int>{}));
      operations.back().asynchronous = draw.below(3) > 0;
    }
    blocks.push_back(block_of(draw.between(1, 5), std::move(operations)));
    blocks.back().waits_for_asynchronous = draw.below(4) == 0;
  }
  return program_of(std::move(blocks), static_cast<int>(draw.below(5)));
}

} // namespace

TEST_CASE("evaluator: random programs agree with the engine")
{
  Draw draw(4096);
  for (int i = 0; i < 60; ++i) {
    const bool closed          = draw.flip();
    const MultiAxis multi_axis = draw.flip() ? MultiAxis::sequential : MultiAxis::concurrent;
    // Parts on unequal rings would share links.
    const std::int64_t second = multi_axis == MultiAxis::concurrent ? 4 : 2;
    const Machine machine     = plain_machine({4, second, 1}, closed, draw.between(1, 2));
    Placement placement{on_axes(machine, {0}), on_axes(machine, {1, 2})};
    if (machine.pods() > 1)
      placement.push_back(on_dcn(machine));
    const ShardedProgram program = draw_program(draw, (AxisMask{1} << placement.size()) - 1);
    INFO("draw " << i);
    CHECK(check_collective({program, machine, placement, multi_axis}));
  }
}
