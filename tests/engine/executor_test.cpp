// Pipelines whose length one can derive: stages of one device each, whose forward and backward passes of a chunk take
// what the test says.

#include "sim/metrics/metrics.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <tuple>
#include <utility>

using namespace podsim;
using namespace podsim::test;

namespace {

struct Timing {
  double forward, backward; // seconds a layer
  double transfer = 0;
  bool blocking   = false;
  bool receives   = false; // block as well
};

struct Run {
  double step, bubble;
};

Run run_stages(const std::string& schedule, int stages, int chunks, int micro_batches, const Timing& timing)
{
  Prepared p                 = test::prepare({.slice       = "1x1x1",
                                              .pods        = stages,
                                              .model       = "tiny-serial",
                                              .batch       = micro_batches,
                                              .sharding    = "data-parallel",
                                              .mesh        = {{"pipeline", "dcn"}},
                                              .pipeline    = pipeline_part(schedule, chunks),
                                              .micro_batch = 1,
                                              .changes     = {"model.layers=" + std::to_string(stages * chunks)}});
  Machine& machine           = p.scenario.machine; // only layers take time, and transfers what they are given
  machine.chip.dispatch      = Seconds(0);
  machine.chip.hbm_bandwidth = BytesPerSecond(1e9);
  machine.dcn_latency        = Seconds(0);
  machine.host.nic_bandwidth = BytesPerSecond(1e9);
  ShardedProgram sharded     = p.sharded;
  sharded.blocking_transfers = timing.blocking;
  sharded.blocking_receives  = timing.receives;
  for (DeviceProgram& program : sharded.programs)
    for (DeviceBlock& block : program.blocks) {
      DeviceOperation first = block.operations.front();
      first.work            = {};
      if (first.kind == DeviceOperation::Kind::compute && block.role == BlockRole::layers)
        first.work.hbm = Bytes(timing.forward * 1e9);
      if (first.kind == DeviceOperation::Kind::compute && block.role == BlockRole::layers_backward)
        first.work.hbm = Bytes(timing.backward * 1e9);
      first.transfer   = Bytes(timing.transfer * 1e9);
      first.kind       = first.kind == DeviceOperation::Kind::collective ? DeviceOperation::Kind::compute : first.kind;
      block.operations = {first};
    }
  const TimedProgram timed =
      time_program(sharded, machine, p.scenario.placement, MultiAxis::sequential, Granularity::automatic);
  const Trace trace = podsim::simulate(sharded, timed, machine, p.scenario.placement,
                                       fold(machine, p.scenario.placement, sharded.pipeline),
                                       {.granularity = Granularity::automatic, .progress = {}});
  return {trace.end.value(), measure(p.program, sharded, timed, machine, p.scenario.placement, trace).bubble};
}

constexpr double tiny_error = 1e-9; // transfers of a tick or two

} // namespace

TEST_CASE("equal stages without transfer cost: the bubble of GPipe and 1F1B is (p - 1) / m of the ideal time")
{
  const Timing t{2e-3, 3e-3};
  for (const char* schedule : {"gpipe", "1f1b"})
    for (const auto& [p, m] : {std::pair(2, 1), {2, 6}, {3, 4}, {4, 2}, {4, 8}, {8, 8}}) {
      CAPTURE(schedule, p, m);
      const Run run = run_stages(schedule, p, 1, m, t);
      CHECK(run.step == Approx((m + p - 1) * (t.forward + t.backward)).margin(tiny_error));
      CHECK(run.bubble == Approx((p - 1.0) / (m + p - 1)).margin(1e-6));
    }
}

TEST_CASE("equal stages without transfer cost: interleaving divides the bubble by the chunks")
{
  const Timing chunk{1e-3, 2e-3}; // of a chunk; a stage has v of them
  for (const auto& [p, v, m] : {std::tuple(2, 2, 4), {2, 3, 4}, {4, 2, 8}, {4, 4, 12}, {3, 2, 3}, {2, 2, 2}}) {
    CAPTURE(p, v, m);
    const Run run      = run_stages("interleaved", p, v, m, chunk);
    const double ideal = m * v * (chunk.forward + chunk.backward);
    const double idle  = (p - 1) * (chunk.forward + chunk.backward);
    CHECK(run.step == Approx(ideal + idle).margin(tiny_error));
    CHECK(run.bubble == Approx(idle / (ideal + idle)).margin(1e-6));
  }
}

TEST_CASE("transfers of a known time, behind the computation and blocking it")
{
  Timing t{2e-3, 3e-3, 0.5e-3, false};
  const double pass = t.forward + t.backward;
  SECTION("one micro-batch: all in a row")
  {
    for (const bool blocking : {false, true}) {
      t.blocking = blocking;
      CHECK(run_stages("1f1b", 2, 1, 1, t).step == Approx(2 * pass + 2 * t.transfer).margin(tiny_error));
      CHECK(run_stages("1f1b", 4, 1, 1, t).step == Approx(4 * pass + 6 * t.transfer).margin(tiny_error));
    }
  }
  SECTION("GPipe: what is sent beside the computation is exposed once each way")
  {
    for (const int m : {1, 2, 7}) {
      const Run run     = run_stages("gpipe", 2, 1, m, t);
      const double step = (m + 1) * pass + 2 * t.transfer;
      CHECK(run.step == Approx(step).margin(tiny_error));
      // The second stage waits for the first pass, and at the end while the first gets and ends its last one; the first
      // between its passes, for the first of the second's. The transfers themselves are exposed time, not idle.
      CHECK(run.bubble == Approx((pass + t.transfer) / step).margin(1e-6));
    }
  }
  SECTION("GPipe, blocking: each of both stages' passes takes its transfer longer")
  {
    t.blocking = true;
    for (const int m : {1, 2, 7})
      CHECK(run_stages("gpipe", 2, 1, m, t).step == Approx(m * (pass + 2 * t.transfer) + pass).margin(tiny_error));
  }
  SECTION("1F1B, blocking both sides: a stage that comes late waits for the whole transfer")
  {
    t.blocking = true;
    for (const bool receives : {false, true}) {
      t.receives = receives;
      CHECK(run_stages("1f1b", 2, 1, 1, t).step == Approx(2 * pass + 2 * t.transfer).margin(tiny_error));
      // The second stage: F0, B0, the gradient sent; only then does it take the second activation, long since there.
      CHECK(run_stages("1f1b", 2, 1, 2, t).step ==
            Approx(3 * pass + (receives ? 4 : 3) * t.transfer).margin(tiny_error));
    }
  }
  SECTION("1F1B: a micro-batch goes down two transfers after the one before last has come up")
  {
    // Down, up, and down again: every other micro-batch takes the round of both stages and both transfers.
    for (const int m : {2, 4, 8})
      CHECK(run_stages("1f1b", 2, 1, m, t).step == Approx((m + 1) * pass + m * t.transfer).margin(tiny_error));
  }
}
