// Folding in space against the simulation of every chip, without faults and with: the same to the last bit.

#include "sim/engine/equivalence.hpp"
#include "tests/support/faulty.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

// In space and in time: one of a class against every chip, and repetitions skipped against all simulated.
void check_folded_equals_explicit(const SmallScenario& scenario, Granularity granularity)
{
  const Prepared prepared = test::prepare(scenario);
  CAPTURE(scenario.slice, scenario.pods, scenario.model, scenario.sharding.dump(), scenario.software, scenario.remat,
          fmt::format("{}", fmt::join(scenario.changes, " ")), static_cast<int>(granularity));
  const Trace folded = test::simulate(prepared, granularity, false);
  const Trace whole  = test::simulate(prepared, granularity, true, false);
  CHECK(folded.simulated_classes < whole.simulated_classes);
  check_same_trace(folded, whole, prepared, granularity);
  check_same_trace(test::simulate(prepared, granularity, false, false), whole, prepared, granularity);
  check_same_trace(test::simulate(prepared, granularity, true), whole, prepared, granularity);
}

} // namespace

TEST_CASE("folded equals explicit on closed tori")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::chunk, Granularity::automatic);
  SECTION("4x4x4, PaLM-like, 2D")
  {
    check_folded_equals_explicit({}, granularity);
  }
  SECTION("4x4x3, an odd ring")
  {
    check_folded_equals_explicit({.slice = "4x4x3", .batch = 48}, granularity);
  }
  SECTION("8x4x4, serial encoder")
  {
    check_folded_equals_explicit({.slice = "8x4x4", .model = "tiny-serial", .remat = "attention"}, granularity);
  }
  SECTION("4x4x4, fully sharded over three axes, gathers ahead of use")
  {
    check_folded_equals_explicit(
        {.model = "tiny-serial", .sharding = "fsdp", .software = "xla-tpu-2023", .mesh = {{"data", {"x", "y", "z"}}}},
        granularity);
  }
  SECTION("4x4x3, data parallel with gradients reduced behind the backward pass")
  {
    check_folded_equals_explicit({.slice    = "4x4x3",
                                  .batch    = 48,
                                  .sharding = "data-parallel",
                                  .mesh     = {{"data", {"x", "y", "z"}}},
                                  .changes  = {R"(software.asynchronous=["gradient reductions"])"}},
                                 granularity);
  }
  SECTION("4x4x4, both asynchronous, axes at once, two mesh axes")
  {
    check_folded_equals_explicit(
        {.changes = {R"(software.asynchronous=["gradient reductions","weight gathers"])", "software.prefetch_layers=2",
                     "software.multi_axis_collectives=concurrent"}},
        granularity);
  }
}

TEST_CASE("folded equals explicit on two pods")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::chunk, Granularity::automatic);
  SECTION("2D in the pod, gradients across pods after the backward pass")
  {
    check_folded_equals_explicit(
        {.slice = "4x4x3", .pods = 2, .batch = 96, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}},
        granularity);
  }
  SECTION("fully sharded in the pod, three pods")
  {
    check_folded_equals_explicit({.slice    = "4x2x2",
                                  .pods     = 3,
                                  .batch    = 48,
                                  .sharding = "fsdp",
                                  .mesh     = {{"data", {"x", "y", "z"}}, {"pod", "dcn"}}},
                                 granularity);
  }
  SECTION("cross-pod reduction behind every layer")
  {
    check_folded_equals_explicit(
        {.slice   = "4x2x2",
         .pods    = 2,
         .batch   = 32,
         .mesh    = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}},
         .changes = {"software.reduce_after_backward=[]", R"(software.asynchronous=["gradient reductions"])"}},
        granularity);
  }
}

TEST_CASE("folded equals explicit where mesh axes share a torus axis or lie on open lines")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::chunk);
  const json half        = {{"axis", "x"}, {"length", 4}};
  SECTION("an axis of 8 as lines of 4 and rings over every 4th chip")
  {
    const json strided = {{"axis", "x"}, {"length", 2}, {"stride", 4}};
    check_folded_equals_explicit(
        {.slice = "8x4x2", .batch = 64, .mesh = {{"data", {"y", "z", strided}}, {"model", half}}}, granularity);
  }
  SECTION("open lines: a class for each place on them")
  {
    check_folded_equals_explicit({.slice   = "4x3x2",
                                  .pods    = 2,
                                  .batch   = 48,
                                  .mesh    = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}},
                                  .changes = {"machine.ici.cube=5"}},
                                 granularity);
  }
  SECTION("a line of 4 in an axis of 8, gathers ahead of use")
  {
    const json other = {{"axis", "x"}, {"length", 2}, {"stride", 4}};
    check_folded_equals_explicit({.slice    = "8x2x2",
                                  .batch    = 64,
                                  .software = "xla-tpu-2023",
                                  .mesh     = {{"data", {other, "y"}}, {"model", {half, "z"}}}},
                                 granularity);
  }
}

TEST_CASE("folded equals explicit for pipelines")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::chunk, Granularity::automatic);
  const auto part        = GENERATE(json{{"schedule", "gpipe"}}, json{{"schedule", "1f1b"}},
                                    json{{"schedule", "interleaved"}, {"chunks", 2}});
  CAPTURE(part.dump());
  const bool chunks = part["schedule"] == "interleaved";
  SmallScenario s{.slice       = "4x2x1",
                  .pods        = 2,
                  .model       = "tiny-serial",
                  .batch       = 16,
                  .sharding    = "tensor-1d",
                  .mesh        = {{"data", "x"}, {"model", "y"}, {"pipeline", "dcn"}},
                  .pipeline    = part,
                  .micro_batch = 1,
                  .changes     = {"model.layers=8"}};
  SECTION("stages on four pods, data and model axes in each, two hosts a pod")
  {
    s.pods = 4;
    check_folded_equals_explicit(s, granularity);
  }
  SECTION("the same, blocking, each device of a group sends a part")
  {
    s.changes.insert(s.changes.end(), {"software.blocking_transfers=true", "software.scattered_transfers=true"});
    check_folded_equals_explicit(s, granularity);
  }
  SECTION("gradients scattered and weights gathered beside the computation")
  {
    s.sharding = "gspmd-2d";
    s.software = "xla-tpu-2023";
    s.changes.push_back(R"(software.asynchronous=["gradient reductions","weight gathers"])");
    check_folded_equals_explicit(s, granularity);
  }
  SECTION("gradients all-reduced beside the computation, those of the last micro-batch only")
  {
    s.changes.insert(s.changes.end(), {R"(software.asynchronous=["gradient reductions"])",
                                       R"(software.reduce_gradients="last micro-batch")"});
    check_folded_equals_explicit(s, granularity);
  }
  SECTION("stages and replicas share the DCN")
  {
    s.pods = 4;
    s.mesh = {{"data", "x"},
              {"model", "y"},
              {"pipeline", {{"axis", "dcn"}, {"length", 2}}},
              {"pod", {{"axis", "dcn"}, {"length", 2}, {"stride", 2}}}};
    check_folded_equals_explicit(s, granularity);
  }
  SECTION("on a closed torus axis, hosts of two stages, gradients across pods")
  {
    s.mesh = {{"pipeline", "x"}, {"model", "y"}, {"pod", "dcn"}};
    check_folded_equals_explicit(s, granularity);
  }
  SECTION("on an open torus axis")
  {
    if (chunks) // a message from the last to the first stage would have no way
      return;
    s.slice = "4x2x3";
    s.batch = 48;
    s.mesh  = {{"pipeline", "x"}, {"model", "y"}, {"data", "z"}, {"pod", "dcn"}};
    s.changes.push_back("machine.ici.cube=5");
    check_folded_equals_explicit(s, granularity);
  }
}

TEST_CASE("a closed torus is one class, and open lines tell chips apart by their place")
{
  CHECK(fold(test::prepare({}).scenario.machine, test::prepare({}).scenario.placement).classes.size() == 1);
  const Prepared open = test::prepare({.slice = "4x3x2", .batch = 24, .changes = {"machine.ici.cube=5"}});
  CHECK(fold(open.scenario.machine, open.scenario.placement).classes.size() == 4 * 3 * 2);
}

TEST_CASE("folded equals explicit for experts, their all-to-alls beside gathers and reductions")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::chunk, Granularity::automatic);
  const json sharding    = {
         {"name", "experts over data"},
         {"weights", {{"expert", "data"}, {"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}}},
         {"activations",
          {{"batch", {"pod", "data"}}, {"expert", "data"}, {"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}}},
         {"compute",
          {{"batch", {"pod", "data"}}, {"expert", "data"}, {"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}}}};
  const std::string experts =
      R"(model.experts={"count": 8, "top_k": 2, "every": 2, "capacity_factor": 1, "mlp": "plain"})";
  SECTION("a closed torus")
  {
    check_folded_equals_explicit({.slice    = "4x4x2",
                                  .model    = "tiny-serial",
                                  .batch    = 32,
                                  .sharding = sharding,
                                  .changes  = {experts, R"(software.asynchronous=["gradient reductions"])"}},
                                 granularity);
  }
  SECTION("two pods, and an open line")
  {
    check_folded_equals_explicit({.slice    = "3x4x2",
                                  .pods     = 2,
                                  .model    = "tiny-serial",
                                  .batch    = 64,
                                  .sharding = sharding,
                                  .mesh     = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}},
                                  .changes  = {experts, "machine.ici.cube=5"}},
                                 granularity);
  }
}

namespace {

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

} // namespace

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

TEST_CASE("folded equals explicit for pipelines with a slow chip, link or NIC")
{
  const auto granularity = GENERATE(Granularity::collective, Granularity::automatic);
  SmallScenario s        = four_stages;
  const auto blocking    = GENERATE(false, true);
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
