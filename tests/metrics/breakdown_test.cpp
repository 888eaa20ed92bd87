// Where the time went, by hand.

#include "tests/support/measured.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("each part of the breakdown is what it says")
{
  const Prepared p = test::prepare({});
  const ShardedProgram program =
      one_stage(p.scenario.mesh, {block("layer", 2,
                                        {compute(matrix_work), compute(hbm_work), compute(vector_work),
                                         gather(2, Bytes(64e6)), gather(1, Bytes(64e6))}),
                                  block("update", 1, {compute(hbm_work, {}, Pass::update)})});
  const Metrics m = measured(p, program);
  CHECK(part(m, "matrix_unit") == Approx(2 * 1e-3));
  CHECK(part(m, "hbm") == Approx(2 * 2e-3));
  CHECK(part(m, "vector_unit") == Approx(2 * 3e-3));
  CHECK(part(m, "overhead") == Approx(6 * 1e-6)); // a dispatch each, besides the update's
  CHECK(part(m, "exposed_ici_model") == Approx(2 * gather_x_time));
  CHECK(part(m, "exposed_ici_data") == Approx(2 * gather_yz_time));
  CHECK(part(m, "optimizer") == Approx(2e-3 + 1e-6));
  CHECK(part(m, "idle") == 0);
  // The links: 4.5 of 16 MB a step go over x, each link being busy for 1.5 chunks of 16 MB in each of two gathers.
  for (const LinkUse& link : m.links)
    if (link.name == "ici_x") {
      CHECK(link.sent.value() == Approx(2 * 3 * 16e6));
      CHECK(link.busy_fraction == Approx(2 * 1.5 * 16e6 / 10e9 / m.step_time.value()));
    }
}

TEST_CASE("only what an asynchronous collective does not hide is exposed, on its own axes")
{
  const Prepared p   = test::prepare({});
  const auto exposed = [&](const Work& behind) {
    const ShardedProgram program =
        one_stage(p.scenario.mesh,
                  {block("layer", 1, {gather(1, Bytes(64e6), true), compute(behind), compute(matrix_work, {0})})});
    const Metrics m = measured(p, program);
    CHECK(part(m, "exposed_ici_model") == 0);
    CHECK(part(m, "idle") == 0);
    return part(m, "exposed_ici_data");
  };
  CHECK(exposed(matrix_work) == Approx(gather_yz_time - 1.001e-3));
  CHECK(exposed({{0, 0, 0, 0}, Bytes(50e9), Ops(0)}) == 0);
}

TEST_CASE("a collective over torus and pods is exposed on both, and the burst is that of the DCN alone")
{
  const Prepared p = test::prepare(
      {.slice = "4x2x2", .pods = 2, .batch = 32, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}});
  DeviceOperation reduce = gather(2 | 4, Bytes(64e6));
  reduce.collective.kind = CollectiveKind::all_reduce;
  const Metrics m        = measured(p, one_stage(p.scenario.mesh, {block("layer", 1, {reduce})}));
  const double dcn       = 2 * 8e6 / 2e9 + 10e-6; // 16 MB a chip are left, halves of them go at 8 GB/s for 4 chips
  CHECK(part(m, "exposed_ici_model") == Approx(2 * gather_x_time).epsilon(1e-6));
  CHECK(part(m, "exposed_dcn_pod") == Approx(dcn).epsilon(1e-6));
  CHECK(m.dcn_burst.value() == Approx(32 * 16e6 / dcn).epsilon(1e-6));
}

TEST_CASE("pods that step together wait for the slowest")
{
  // The largest of n draws of an exponential distribution of scale 1 is 1 + 1/2 + ... + 1/n on average, of one 1.
  CHECK(waiting_for_slower_pods(0.1, 1) == 0);
  CHECK(waiting_for_slower_pods(0.1, 2) == Approx(0.05));
  CHECK(waiting_for_slower_pods(0.1, 4) == Approx(0.1 * (1.0 / 2 + 1.0 / 3 + 1.0 / 4)));
  const test::SmallScenario two{
      .pods = 2, .batch = 128, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}};
  test::SmallScenario spread = two;
  spread.changes             = {"machine.dcn.pod_spread=0.1"};
  const Metrics alike        = measured(test::prepare(two));
  const Metrics waiting      = measured(test::prepare(spread));
  CHECK(waiting.step_time / alike.step_time == Approx(1.05));
  CHECK(part(waiting, "slower_pods") == Approx(0.05 * alike.step_time.value()));
  CHECK(sum(waiting.breakdowns[waiting.critical]).value() == Approx(waiting.step_time.value()));
}
