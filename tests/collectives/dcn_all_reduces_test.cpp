// What all algorithms of an all-reduce between nodes have in common: the schema knows their names, and each takes as
// long by its chunks, with every device for itself, with slow NICs and beside others, as its model says.

#include "sim/collectives/duration.hpp"
#include "sim/metrics/metrics.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <fstream>

using namespace podsim;
using namespace podsim::test;

namespace {

// The mesh axis `pod` over nodes of 4 chips, which share a NIC of 8 GB/s; 10 us across.
Prepared nodes(int count, const std::string& algorithm, std::vector<std::string> changes = {})
{
  const nlohmann::json none    = nlohmann::json::object();
  const nlohmann::json unsplit = {{"name", "unsplit"}, {"weights", none}, {"activations", none}, {"compute", none}};
  changes.push_back(fmt::format("software.dcn_all_reduce=\"{}\"", algorithm));
  return test::prepare({.slice      = "2x2x1",
                        .pods       = count,
                        .sharding   = unsplit,
                        .mesh       = {{"data", {"x", "y"}}, {"pod", "dcn"}},
                        .changes    = std::move(changes),
                        .replicated = {"data", "pod"}});
}

constexpr AxisMask data = 1, pod = 2;

DeviceOperation all_reduce(double size, AxisMask axes, bool asynchronous = false)
{
  DeviceOperation op{.name = "all-reduce", .kind = DeviceOperation::Kind::collective};
  op.collective   = {CollectiveKind::all_reduce, axes, Bytes(size)};
  op.asynchronous = asynchronous;
  return op;
}

double simulated(const Prepared& p, std::vector<DeviceOperation> operations, Granularity granularity,
                 bool explicit_devices = false, std::int64_t times = 1, bool skip = true)
{
  DeviceBlock block;
  block.name        = "test";
  block.count       = times;
  block.operations  = std::move(operations);
  const Scenario& s = p.scenario;
  return test::simulate(one_stage(s.mesh, {block}), s.machine, s.placement, s.software.collectives, granularity,
                        explicit_devices, skip)
      .end.value();
}

double alone(const Prepared& p, double size, AxisMask axes)
{
  const Scenario& s = p.scenario;
  return static_cast<double>(
             duration(plan(all_reduce(size, axes).collective, s.machine, s.placement, s.software.collectives))) /
         ticks_per_second;
}

} // namespace

TEST_CASE("the schema knows every all-reduce between nodes")
{
  std::ifstream file(PODSIM_SOURCE_DIR "/scenarios/scenario.schema.json");
  nlohmann::json expected = nlohmann::json::array();
  for (const auto& [name, make] : dcn_all_reduces())
    expected.push_back(name);
  expected.push_back(nullptr);
  CHECK(nlohmann::json::parse(file).at("$defs").at("dcn_all_reduce").at("enum") == expected);
}

TEST_CASE("an all-reduce between nodes that nobody knows is refused with what there is")
{
  CHECK_THROWS_WITH(nodes(4, "treee"), Catch::Contains("tree") && Catch::Contains("dcn_all_reduce"));
}

TEST_CASE("every all-reduce between nodes, by chunks: folded is explicit is its model, to the bit")
{
  for (const auto& [name, make] : dcn_all_reduces())
    for (const int count : {2, 3, 4, 6, 7, 8})
      for (const AxisMask axes : {pod, data | pod})
        for (const double size : {8.0, 1234567.0, 64e6}) {
          const Prepared p = nodes(count, name);
          CAPTURE(name, count, axes, size);
          const double model = alone(p, size, axes);
          CHECK(simulated(p, {all_reduce(size, axes)}, Granularity::collective) == model);
          CHECK(simulated(p, {all_reduce(size, axes)}, Granularity::chunk) == Approx(model).epsilon(1e-12));
          CHECK(simulated(p, {all_reduce(size, axes)}, Granularity::chunk, true) ==
                simulated(p, {all_reduce(size, axes)}, Granularity::chunk));
        }
}

TEST_CASE("every all-reduce between nodes goes at the pace of a slow NIC")
{
  const std::string slow = R"(faults={"hosts": [{"at": {"pod": 1, "x": 0, "y": 0, "z": 0}, "nic": 0.25}]})";
  for (const auto& [name, make] : dcn_all_reduces())
    for (const int count : {3, 4, 6}) {
      CAPTURE(name, count);
      const Prepared whole  = nodes(count, name);
      const Prepared broken = nodes(count, name, {slow});
      const Prepared all    = nodes(count, name, {R"(machine.host.nic_bandwidth="2 GB/s")"});
      const auto run        = [](const Prepared& p, Granularity granularity, bool explicit_devices = false) {
        return simulated(p, {all_reduce(64e6, pod)}, granularity, explicit_devices);
      };
      CHECK(run(broken, Granularity::chunk) == Approx(run(all, Granularity::chunk)).epsilon(1e-9));
      CHECK(run(broken, Granularity::chunk) > 3.9 * run(whole, Granularity::chunk));
      CHECK(run(broken, Granularity::collective) == Approx(run(broken, Granularity::chunk)).epsilon(1e-9));
      CHECK(run(broken, Granularity::automatic) == run(broken, Granularity::chunk));
      CHECK(run(broken, Granularity::chunk, true) == run(broken, Granularity::chunk));
    }
}

TEST_CASE("two all-reduces between nodes share the NICs, and what repeats is skipped to the bit")
{
  for (const auto& [name, make] : dcn_all_reduces())
    for (const int count : {4, 6}) {
      CAPTURE(name, count);
      const Prepared p = nodes(count, name);
      // Over the pods alone, and beside it one of the same size over all axes, a quarter of which is left for them.
      const std::vector<DeviceOperation> both{all_reduce(64e6, pod, true), all_reduce(64e6, data | pod)};
      const double together = simulated(p, both, Granularity::chunk);
      CHECK(together > 1.2 * alone(p, 64e6, pod));
      CHECK(together < alone(p, 64e6, pod) + alone(p, 64e6, data | pod));
      CHECK(simulated(p, both, Granularity::automatic) == together);
      CHECK(simulated(p, both, Granularity::chunk, true) == together);
      CHECK(simulated(p, both, Granularity::chunk, false, 40) ==
            simulated(p, both, Granularity::chunk, false, 40, false));
    }
}

TEST_CASE("every all-reduce between nodes beside what pipeline stages send over the same NICs")
{
  using nlohmann::json;
  const json stages   = {{"axis", "dcn"}, {"length", 2}};
  const json replicas = {{"axis", "dcn"}, {"length", 3}, {"stride", 2}};
  for (const auto& [name, make] : dcn_all_reduces()) {
    CAPTURE(name);
    const Prepared p = test::prepare({.slice       = "2x2x1",
                                      .pods        = 6,
                                      .batch       = 48,
                                      .sharding    = "data-parallel",
                                      .mesh        = {{"pipeline", stages}, {"pod", replicas}, {"data", {"x", "y"}}},
                                      .pipeline    = {{"schedule", "1f1b"}, {"layers", {2, 1}}},
                                      .micro_batch = 1,
                                      .changes     = {fmt::format("software.dcn_all_reduce=\"{}\"", name),
                                                      R"(software.asynchronous=["gradient reductions"])"}});
    const auto end   = [&](Granularity granularity, bool explicit_devices, bool skip) {
      return test::simulate(p, granularity, explicit_devices, skip).end.value();
    };
    const double folded = end(Granularity::chunk, false, true);
    CHECK(end(Granularity::chunk, true, true) == folded);
    CHECK(end(Granularity::chunk, false, false) == folded);
    CHECK(end(Granularity::automatic, false, true) == Approx(folded).epsilon(1e-9));
  }
}

TEST_CASE("every all-reduce between nodes sends 2 S (n-1)/n a device")
{
  for (const auto& [name, make] : dcn_all_reduces())
    for (const int count : {2, 3, 4, 6, 7, 8, 32}) {
      CAPTURE(name, count);
      const Prepared p    = nodes(count, name);
      const Plan plan     = podsim::plan(all_reduce(64e6, pod).collective, p.scenario.machine, p.scenario.placement,
                                         p.scenario.software.collectives);
      const Traffic sends = plan.parts.at(0).at(0)->traffic();
      CHECK(sends.sent / Bytes(1) == Approx(2 * 64e6 * (count - 1) / count));
      // The busiest sends no less than the mean, and never for longer than all takes.
      CHECK(to_seconds(static_cast<double>(sends.busy)).value() >= sends.sent / Bytes(8e9) * (1 - 1e-9));
      CHECK(sends.busy <= plan.parts.at(0).at(0)->busy({}));
    }
}
