// What faults cost, by hand, and the bounds where it is not known exactly.

#include "tests/support/faulty.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <fmt/format.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

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

TEST_CASE("what faults make of a step must be within the clock, which one slow link leaves it")
{
  const auto status = [](const json& fault) { return evaluate(test::prepare(with(two_pods, fault))).status; };
  const json at     = {{"pod", 1}, {"x", 2}, {"y", 1}, {"z", 0}};
  CHECK(status({{"links", {{{"at", at}, {"axis", "x"}, {"bandwidth", 0.001}}}}}) == Status::ok);
  const json slow = {{"at", at}, {"compute", 0.001}};
  CHECK(status({{"chips", {slow, slow, slow, slow, slow}}}) == Status::time); // 10^15 times
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
