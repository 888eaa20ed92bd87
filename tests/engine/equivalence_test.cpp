// Folding in space against the simulation of every chip: the same to the last bit.

#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <tuple>

using namespace podsim;
using namespace podsim::test;
using nlohmann::json;

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
