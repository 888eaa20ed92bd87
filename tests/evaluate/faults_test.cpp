// Faults: what they cost by hand, and the fold under them against every chip simulated.

#include "tests/support/small_scenario.hpp"

#include "sim/core/errors.hpp"
#include "sim/engine/symmetry.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace podsim;
using namespace podsim::test;
using nlohmann::json;

namespace {

std::string faults(const json& value)
{
  return "faults=" + value.dump();
}

SmallScenario with(SmallScenario scenario, const json& value)
{
  scenario.changes.push_back(faults(value));
  return scenario;
}

// The fold in space and time against every chip and every layer. Nothing but the fold may differ, so traces agree to
// the last bit.
std::int64_t check_fold(const SmallScenario& scenario, Granularity granularity)
{
  const Prepared prepared = test::prepare(scenario);
  CAPTURE(scenario.slice, scenario.pods, scenario.software, fmt::format("{}", fmt::join(scenario.changes, " ")),
          static_cast<int>(granularity));
  const Trace folded = test::simulate(prepared, granularity, false);
  const Trace whole  = test::simulate(prepared, granularity, true, false);
  check_same_trace(folded, whole, prepared, granularity);
  return folded.simulated_classes;
}

double step(const SmallScenario& scenario, Granularity granularity = Granularity::automatic)
{
  return test::simulate(test::prepare(scenario), granularity, false).end.value();
}

const SmallScenario two_pods{
    .slice = "4x3x2", .pods = 2, .batch = 48, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}};

} // namespace

TEST_CASE("a slow chip slows all that wait for it, and nothing else")
{
  // One matrix product of 2 x 4096^3 FLOPs at 100 TFLOP/s takes 1.374 ms, and 1 us of dispatch; at half the clock both
  // take twice as long. Nobody waits for anybody.
  const SmallScenario healthy{.slice = "4x1x1", .batch = 4, .mesh = {{"data", {"x", "y", "z"}}}};
  const double product = 2 * std::pow(4096.0, 3) / 100e12;
  Machine machine      = test::prepare(healthy).scenario.machine;
  const Work work{{1, 4096, 4096, 4096}, Bytes(1e6), Ops(0)};
  CHECK(operation_time(work, machine.chip).total().value() == Approx(product + 1e-6).epsilon(1e-5));
  CHECK(operation_time(work, at_speed(machine.chip, {.compute = 0.5})).total().value() ==
        Approx(2 * (product + 1e-6)).epsilon(1e-5));
  // A copy of 1 GB in HBM: 2 GB at 1 TB/s, at 80% of it a quarter longer; its clock does not matter.
  const Work copy{{}, Bytes(2e9), Ops(0)};
  CHECK(operation_time(copy, at_speed(machine.chip, {.compute = 0.5, .hbm = 0.8})).total().value() ==
        Approx(2e-3 / 0.8 + 2e-6).epsilon(1e-5));
  // The whole synchronous step goes at the pace of the one slow chip: as if all were slow, but never slower.
  const json at    = {{"pod", 1}, {"x", 2}, {"y", 1}, {"z", 1}};
  const double one = step(with(two_pods, {{"chips", {{{"at", at}, {"compute", 0.5}}}}}));
  const double both =
      step(with(two_pods, {{"pods", {{{"pod", 0}, {"compute", 0.5}}, {{"pod", 1}, {"compute", 0.5}}}}}));
  CHECK(one > 1.2 * step(two_pods));
  CHECK(one <= both);
}

TEST_CASE("a slow link on a closed ring: its chunks pass one after the other")
{
  // An all-gather of 60 MB on a ring of 6: chunks of 10 MB, 1 ms at 10 GB/s, 1 us a hop. Each link carries 2.5 chunks,
  // in 3 steps: 2.5 ms + 3 us. Through a link at half the rate: 5 ms + 3 us, at the chip behind it.
  const std::string gather = R"(micro_benchmark={"collective": "all-gather", "axes": ["model"], "size": "60 MB"})";
  const auto time          = [&](const json& fault, Granularity granularity) {
    SmallScenario s{.slice = "6x1x1", .batch = 1, .mesh = {{"model", {"x", "y", "z"}}}};
    s.changes = {"model=null", "workload=null", "sharding=null", "software=null", gather};
    if (!fault.is_null())
      s.changes.push_back(faults(fault));
    return step(s, granularity);
  };
  const json slow = {{"links", {{{"at", {{"x", 2}}}, {"axis", "x"}, {"bandwidth", 0.5}}}}};
  const json dead = {{"links", {{{"at", {{"x", 5}}}, {"axis", "x"}, {"dead", true}}}}};
  for (const Granularity granularity : {Granularity::collective, Granularity::chunk}) {
    CHECK(time(nullptr, granularity) == Approx(2.5e-3 + 3e-6).epsilon(1e-9));
    CHECK(time(slow, granularity) == Approx(5e-3 + 3e-6).epsilon(1e-9));
    // Without the link an open line is left: 5 steps of a whole chunk, whichever link it is.
    CHECK(time(dead, granularity) == Approx(5 * (1e-3 + 1e-6)).epsilon(1e-9));
  }
  // One direction only: the other one's chunks are in time, the slow ones are not.
  CHECK(time({{"links", {{{"at", {{"x", 2}}}, {"axis", "x"}, {"bandwidth", 0.5}, {"direction", "down"}}}}},
             Granularity::chunk) == Approx(5e-3 + 3e-6).epsilon(1e-9));
}

TEST_CASE("a slow NIC slows the exchange between pods, for its host alone")
{
  // 32 MB over two pods, all-reduced by 4 chips of a host over one NIC of 8 GB/s: a reduce-scatter and an all-gather of
  // 16 MB each, 4 x 2 ms, and 10 us of latency; with a NIC at a quarter four times 8 ms.
  const auto time = [&](const json& fault) {
    SmallScenario s{.slice = "4x2x1", .pods = 2, .mesh = {{"data", {"x", "y", "z"}}, {"pod", "dcn"}}};
    s.changes = {"model=null",
                 "workload=null",
                 "sharding=null",
                 "software=null",
                 R"(micro_benchmark={"collective": "all-reduce", "axes": ["pod"], "size": "32 MB"})",
                 faults(fault)};
    return step(s);
  };
  CHECK(time(json::object()) == Approx(2 * 8e-3 + 10e-6).epsilon(1e-6));
  CHECK(time({{"hosts", {{{"at", {{"pod", 1}, {"x", 2}, {"y", 0}}}, {"nic", 0.25}}}}}) ==
        Approx(2 * 32e-3 + 10e-6).epsilon(1e-6));
}

TEST_CASE("folded equals explicit under one fault, in every place up to symmetry")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::chunk, Granularity::automatic);
  SECTION("a slow chip, slow HBM: all places are alike, one after the other is tried")
  {
    for (int x : {0, 3})
      for (int y : {0, 2})
        for (int z : {0, 1})
          for (int pod : {0, 1}) {
            const json at = {{"pod", pod}, {"x", x}, {"y", y}, {"z", z}};
            CHECK(check_fold(with(two_pods, {{"chips", {{{"at", at}, {"compute", 0.7}, {"hbm", 0.9}}}}}), granularity) <
                  48);
          }
  }
  SECTION("two slow chips: on one ring, on one plane, apart, in different pods, of equal and of different speed")
  {
    const json first = {{"pod", 0}, {"x", 1}, {"y", 1}, {"z", 0}};
    for (const json& second :
         {json{{"pod", 0}, {"x", 3}, {"y", 1}, {"z", 0}}, json{{"pod", 0}, {"x", 2}, {"y", 2}, {"z", 0}},
          json{{"pod", 0}, {"x", 0}, {"y", 0}, {"z", 1}}, json{{"pod", 1}, {"x", 1}, {"y", 1}, {"z", 0}},
          json{{"pod", 1}, {"x", 2}, {"y", 0}, {"z", 1}}})
      for (const double speed : {0.7, 0.85})
        check_fold(
            with(two_pods, {{"chips", {{{"at", first}, {"compute", 0.7}}, {{"at", second}, {"compute", speed}}}}}),
            granularity);
  }
  SECTION("a slow or dead link on each axis")
  {
    for (const std::string axis : {"x", "y"})
      for (const json& state :
           {json{{"bandwidth", 0.5}}, json{{"bandwidth", 0.3}, {"direction", "down"}}, json{{"dead", true}}}) {
        json link = {{"at", {{"pod", 1}, {"x", 3}, {"y", 1}, {"z", 0}}}, {"axis", axis}};
        link.update(state);
        check_fold(with(two_pods, {{"links", {link}}}), granularity);
      }
  }
  SECTION("a slow NIC, a slow pod")
  {
    check_fold(with(two_pods, {{"hosts", {{{"at", {{"pod", 0}, {"x", 2}, {"y", 0}, {"z", 1}}}, {"nic", 0.5}}}}}),
               granularity);
    check_fold(with(two_pods, {{"pods", {{{"pod", 1}, {"compute", 0.75}}}}}), granularity);
  }
}

TEST_CASE("folded equals explicit under faults where collectives share links")
{
  const auto granularity = GENERATE(Granularity::chunk, Granularity::automatic);
  const json chip        = {{"chips", {{{"at", {{"x", 1}, {"y", 2}, {"z", 3}}}, {"compute", 0.6}}}}};
  const json link        = {{"links", {{{"at", {{"x", 1}, {"y", 2}, {"z", 3}}}, {"axis", "y"}, {"bandwidth", 0.5}}}}};
  for (const json& fault : {chip, link}) {
    // Gradients reduced and weights gathered at once, over the same axes in parts.
    check_fold(with({.changes = {R"(software.asynchronous=["gradient reductions","weight gathers"])",
                                 "software.prefetch_layers=2", "software.multi_axis_collectives=concurrent"}},
                    fault),
               granularity);
    // Two mesh axes on one torus axis.
    const json half    = {{"axis", "x"}, {"length", 2}};
    const json strided = {{"axis", "x"}, {"length", 2}, {"stride", 2}};
    check_fold(with({.software = "xla-tpu-2023", .mesh = {{"data", {"y", "z", strided}}, {"model", half}}}, fault),
               granularity);
  }
}

TEST_CASE("folded equals explicit under faults on three and four pods, where a NIC hears one other pod")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::chunk, Granularity::automatic);
  const auto pods        = GENERATE(3, 4);
  const SmallScenario s{.slice = "4x2x1",
                        .pods  = pods,
                        .batch = 4 * pods,
                        .mesh  = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}};
  const json at = {{"pod", 1}, {"x", 2}, {"y", 1}, {"z", 0}};
  check_fold(with(s, {{"chips", {{{"at", at}, {"compute", 0.99}}}}}), granularity);
  check_fold(with(s, {{"links", {{{"at", at}, {"axis", "x"}, {"bandwidth", 0.5}}}}}), granularity);
  check_fold(with(s, {{"hosts", {{{"at", at}, {"nic", 0.5}}}}}), granularity);
  check_fold(with(s, {{"pods", {{{"pod", pods - 1}, {"compute", 0.9}}}}}), granularity);
  // A chip that is 1% slower has nothing to do with what its NIC carries: 32 MB are exchanged as fast as before.
  SmallScenario alone{.slice = "2x2x1", .pods = pods, .mesh = {{"data", {"x", "y", "z"}}, {"pod", "dcn"}}};
  alone.changes = {"model=null", "workload=null", "sharding=null", "software=null",
                   R"(micro_benchmark={"collective": "all-reduce", "axes": ["pod"], "size": "32 MB"})"};
  CHECK(step(with(alone, {{"chips", {{{"at", {{"pod", 1}, {"x", 0}, {"y", 0}}}, {"compute", 0.99}}}}}), granularity) ==
        step(alone, granularity));
}

TEST_CASE("of dead cables the bound from below keeps one, with both of its ends")
{
  // Two on parallel lines up y: (x 0, y 2 to 0) and (x 1, y 0 to 1).
  const SmallScenario s{.slice = "4x3x2", .batch = 24, .mesh = {{"data", {"y", "z"}}, {"model", "x"}}};
  const auto dead = [](int x, int y) {
    return json{{"at", {{"x", x}, {"y", y}, {"z", 0}}}, {"axis", "y"}, {"dead", true}};
  };
  Machine machine = test::prepare(with(s, {{"links", {dead(0, 2), dead(1, 0)}}})).scenario.machine;
  REQUIRE(machine.overrides.links.size() == 4);
  const auto kept = worst_only(machine).links;
  CHECK(kept == test::prepare(with(s, {{"links", {dead(0, 2)}}})).scenario.machine.overrides.links);
}

TEST_CASE("what faults make of a step must be within the clock, which one slow link leaves it")
{
  const auto status = [](const json& fault) { return evaluate(test::prepare(with(two_pods, fault))).status; };
  const json at     = {{"pod", 1}, {"x", 2}, {"y", 1}, {"z", 0}};
  CHECK(status({{"links", {{{"at", at}, {"axis", "x"}, {"bandwidth", 0.001}}}}}) == Status::ok);
  const json slow = {{"at", at}, {"compute", 0.001}};
  CHECK(status({{"chips", {slow, slow, slow, slow, slow}}}) == Status::time); // 10^15 times
}

TEST_CASE("a speed of 1 is no fault")
{
  const json at          = {{"pod", 1}, {"x", 2}, {"y", 1}, {"z", 0}};
  const Prepared nothing = test::prepare(with(two_pods, {{"chips", {{{"at", at}, {"compute", 1}}}}}));
  CHECK(nothing.scenario.machine.overrides.empty());
}

TEST_CASE("folded equals explicit for pipelines with a slow chip, link or NIC")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::automatic);
  SmallScenario s{.slice       = "2x2x1",
                  .pods        = 4,
                  .model       = "tiny-serial",
                  .batch       = 24,
                  .sharding    = "tensor-1d",
                  .mesh        = {{"data", "x"}, {"model", "y"}, {"pipeline", "dcn"}},
                  .pipeline    = {{"schedule", "1f1b"}},
                  .micro_batch = 1,
                  .changes     = {"model.layers=8"}};
  const auto blocking = GENERATE(false, true);
  if (blocking)
    s.changes.insert(s.changes.end(), {"software.blocking_transfers=true", "software.blocking_receives=true"});
  const json at = {{"pod", 2}, {"x", 1}, {"y", 0}};
  check_fold(with(s, {{"chips", {{{"at", at}, {"compute", 0.8}}}}}), granularity);
  check_fold(with(s, {{"links", {{{"at", at}, {"axis", "y"}, {"bandwidth", 0.25}}}}}), granularity);
  check_fold(with(s, {{"hosts", {{{"at", at}, {"nic", 0.5}}}}}), granularity);
}

TEST_CASE("folded equals explicit under random faults")
{
  const auto seed        = GENERATE(range(1, 25));
  const auto granularity = seed % 3 == 0   ? Granularity::collective
                           : seed % 3 == 1 ? Granularity::chunk
                                           : Granularity::automatic;
  const json drawn       = {{"seed", seed},
                            {"chips", {{"rate", 0.06}, {"compute", 0.8}, {"hbm", 0.7}}},
                            {"links", {{"rate", 0.02}, {"bandwidth", 0.5}}},
                            {"hosts", {{"rate", 0.1}, {"nic", 0.5}}}};
  SmallScenario s        = seed % 2 == 0 ? two_pods : SmallScenario{.slice = "4x4x2", .batch = 32};
  if (seed % 4 == 1)
    s.changes = {R"(software.asynchronous=["gradient reductions"])"};
  check_fold(with(s, {{"random", drawn}}), granularity);
}

TEST_CASE("a straggler is some tens of classes, whatever the size of the machine")
{
  const json at        = {{"pod", 0}, {"x", 3}, {"y", 2}, {"z", 1}};
  const Prepared small = test::prepare(with({.slice = "8x8x8", .pods = 2, .batch = 1024, .mesh = two_pods.mesh},
                                            {{"chips", {{{"at", at}, {"compute", 0.8}}}}}));
  const Prepared large = test::prepare(with({.slice = "8x16x12", .pods = 2, .batch = 3072, .mesh = two_pods.mesh},
                                            {{"chips", {{{"at", at}, {"compute", 0.8}}}}}));
  const auto classes = [](const Prepared& p) { return fold(p.scenario.machine, p.scenario.placement).classes.size(); };
  CHECK(classes(small) == classes(large));
  CHECK(classes(small) < 50);
}

TEST_CASE("faults that are alike but for their place on closed rings cost the same, and are simulated once")
{
  SmallScenario piped{.slice       = "2x2x1",
                      .pods        = 4,
                      .model       = "tiny-serial",
                      .batch       = 24,
                      .sharding    = "tensor-1d",
                      .mesh        = {{"data", "x"}, {"model", "y"}, {"pipeline", "dcn"}},
                      .pipeline    = {{"schedule", "1f1b"}},
                      .micro_batch = 1,
                      .changes     = {"model.layers=8"}};
  const SmallScenario torus{
      .slice = "4x4x4", .pods = 2, .batch = 128, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}};
  for (const SmallScenario& s : {torus, two_pods, piped}) {
    const Prepared healthy = test::prepare(s);
    const Machine& m       = healthy.scenario.machine;
    CAPTURE(s.slice, s.pods);
    for (const std::string kind : {"chip", "link", "host"}) {
      std::vector<std::pair<Overrides, double>> steps; // of each kind of place, and of the first step with it
      std::int64_t places = 0;
      for (std::int64_t device = 0; device < m.devices(); device += kind == "chip" ? 1 : 3, ++places) {
        Prepared faulty = healthy;
        Overrides own;
        if (kind == "chip")
          own.devices[device] = {.compute = 0.7};
        else if (kind == "link")
          own.links[{device, 0, 0}] = 0.5;
        else
          own.hosts[m.host_of(device)] = 0.5;
        faulty.scenario.machine.overrides = own;
        const double took                 = test::simulate(faulty, Granularity::automatic, false).end.value();
        const Overrides kept = shifted_to_start(own, m, healthy.scenario.placement, healthy.sharded.pipeline);
        const auto known     = std::find_if(steps.begin(), steps.end(), [&](const auto& one) {
          return one.first.devices == kept.devices && one.first.links == kept.links && one.first.hosts == kept.hosts;
        });
        if (known == steps.end())
          steps.emplace_back(kept, took);
        else
          CHECK(known->second == took);
      }
      if (s.slice == torus.slice)
        CHECK(steps.size() <= 4); // as many as a host has chips
      if (s.pods == piped.pods && kind == "chip")
        CHECK(steps.size() >= 4); // a stage is like no other
      CHECK(steps.size() <= static_cast<std::size_t>(places));
    }
  }
}

TEST_CASE("one event is a bound from above where a link is slow, and near")
{
  for (const auto& software : {"xla-tpu-2021", "xla-tpu-2023"})
    for (const auto& axes : {"sequential", "concurrent"})
      for (const auto& axis : {"x", "y", "z"}) { // x by itself, y and z in one collective
        SmallScenario s = with(
            {.slice = "4x3x4", .pods = 2, .batch = 96, .mesh = two_pods.mesh},
            {{"links", {{{"at", {{"pod", 0}, {"x", 1}, {"y", 1}, {"z", 0}}}, {"axis", axis}, {"bandwidth", 0.3}}}}});
        s.software = software;
        s.changes.push_back(fmt::format("software.multi_axis_collectives={}", axes));
        CAPTURE(software, axes, axis);
        const double exact = step(s, Granularity::chunk);
        const double bound = step(s, Granularity::collective);
        CHECK(exact <= bound);
        CHECK(bound < 1.05 * exact);
      }
}

TEST_CASE("a step whose collectives wait for groups out of step says that it is a bound, and chunks are within it")
{
  const SmallScenario s  = with(two_pods, {{"chips", {{{"at", 5}, {"compute", 0.7}}}}});
  const Evaluation whole = evaluate(test::prepare(s));
  CHECK_THAT(whole.faults->bound, Catch::Contains("over several axes"));
  const double by_chunks = step(s, Granularity::chunk);
  CHECK(whole.faults->at_least.value() <= by_chunks);
  CHECK(by_chunks <= whole.metrics->step_time.value());
  CHECK(evaluate(test::prepare(s), {{.granularity = Granularity::chunk, .progress = {}}}).faults->bound.empty());
}

TEST_CASE("jitter: the slowest of n is slower by the scale times the n-th harmonic number")
{
  // E[max of n exponential draws of mean 1] = 1 + 1/2 + ... + 1/n; the mean over 300 seeds has a deviation of
  // pi / sqrt(6 x 300) = 0.074.
  constexpr int seeds = 300;
  for (const auto& [slice, n] : {std::pair("1x1x1", 1), std::pair("4x4x1", 16), std::pair("4x4x4", 64)}) {
    SmallScenario s{.slice = slice, .batch = 256, .mesh = {{"data", {"x", "y", "z"}}}};
    double harmonic = 0;
    double sum      = 0;
    for (int i = 1; i <= n; ++i)
      harmonic += 1.0 / i;
    for (int seed = 0; seed < seeds; ++seed) {
      const Prepared prepared = test::prepare(with(s, {{"jitter", {{"seed", seed}, {"scale", 0.01}}}}));
      REQUIRE(prepared.scenario.machine.overrides.devices.size() == static_cast<std::size_t>(n));
      sum += (1 / prepared.scenario.machine.overrides.slowest() - 1) / 0.01 / seeds;
    }
    CHECK(sum == Approx(harmonic).margin(0.25));
  }
}

TEST_CASE("faults that cannot be are answered with their place")
{
  const auto refused = [](const json& value) -> std::string {
    try {
      test::prepare(with(two_pods, value));
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  };
  const json at = {{"pod", 1}, {"x", 3}, {"y", 1}, {"z", 0}};
  CHECK_THAT(refused({{"chips", {{{"at", at}, {"compte", 0.5}}}}}), Catch::Contains("did you mean \"compute\""));
  CHECK_THAT(refused({{"chips", {{{"at", {{"pod", 2}}}, {"compute", 0.5}}}}}), Catch::Contains("faults.chips[0].at"));
  CHECK_THAT(refused({{"links", {{{"at", at}, {"axis", "x"}}}}}), Catch::Contains("\"dead\": true"));
  const json one   = {{"at", at}, {"axis", "x"}, {"dead", true}};
  json other       = one;
  other["at"]["x"] = 1;
  CHECK_THAT(refused({{"links", {one, other}}}), Catch::Contains("second one on its ring"));
  CHECK_THAT(refused({{"links", {one, other}}, {"dead_links", "spare cube"}}), Catch::Equals(""));
  SmallScenario twisted{.slice = "4x4x8", .batch = 128};
  twisted.changes = {"machine.twisted=true"};
  CHECK(test::prepare(twisted).scenario.machine.lattice.twisted);
  twisted = with(twisted, {{"links", {{{"at", 0}, {"axis", "z"}, {"dead", true}}}}});
  CHECK_THROWS_WITH(test::prepare(twisted), Catch::Contains("is one of a twisted torus"));
}

TEST_CASE("on TPU v3, a fault is of a chip with both its cores or of one core, and says which")
{
  const json value{{"chips",
                    {{{"at", {{"x", 1}, {"y", 2}}}, {"compute", 0.5}},
                     {{"at", {{"core", 1}, {"x", 3}, {"y", 2}}}, {"compute", 0.5}}}},
                   {"hosts", {{{"at", {{"x", 0}, {"y", 0}}}, {"nic", 0.5}}}}};
  const std::string file  = PODSIM_SOURCE_DIR "/scenarios/training/tpu-v3/lingvo-128b-8x8.json";
  const Scenario scenario = read_scenario(resolve(file, {faults(value)}, Catalogue(PODSIM_SOURCE_DIR)));
  REQUIRE(scenario.faults.size() == 3);
  CHECK(scenario.faults[0].name == "chip x 1, y 2");
  CHECK(scenario.faults[0].effect.devices.size() == 2);
  CHECK(scenario.faults[1].name == "core 1, x 3, y 2");
  CHECK(scenario.faults[1].effect.devices.size() == 1);
  CHECK(scenario.faults[2].name == "host of x 0, y 0");
}
