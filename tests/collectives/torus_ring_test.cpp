// Rings and open lines on the torus: closed forms by hand.

#include "tests/support/collective_setting.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("a ring goes both ways, and for an even size the shard opposite goes half each way")
{
  // 64 MB over 4 chips: shards of 16 MB, 1.6 ms each; two steps, the second with half a shard.
  CHECK(seconds(setting("4x4x4"), gather_x) == Approx(1.6e-3 + 0.8e-3 + 2 * 1e-6).margin(4 * tick));
  // Over 3 chips: one step of 64/3 MB each way.
  CHECK(seconds(setting("3x4x4"), gather_x) == Approx(64e6 / 3 / 10e9 + 1e-6).margin(4 * tick));
  // Over 2: each chip has both links to the other and sends half of its shard over each.
  CHECK(seconds(setting("2x4x4"), gather_x) == Approx(16e6 / 10e9 + 1e-6).margin(4 * tick));
  // Over 12: S (n-1)/n over two links, plus 6 hops.
  CHECK(seconds(setting("12x2x2"), gather_x) == Approx(64e6 * 11 / 12 / 20e9 + 6e-6).margin(12 * tick));
}

TEST_CASE("an open line has no way round")
{
  // 3 steps of 16 MB, one of them for the shard from the far end.
  const Setting open = setting("4x4x4", 1, {"machine.ici.cube=5"});
  CHECK(seconds(open, gather_x) == Approx(3 * (1.6e-3 + 1e-6)).margin(4 * tick));
  CHECK(seconds(open, {CollectiveKind::reduce_scatter, 2, Bytes(64e6)}) == seconds(open, gather_x));
}

TEST_CASE("several axes go one after the other with growing shards, or at once in parts")
{
  const Setting s = setting("2x4x4");
  const Collective gather{CollectiveKind::all_gather, 1, Bytes(64e6)};
  // First axis: shards of 4 MB, 1.5 of them = 0.6 ms; second: 16 MB, 2.4 ms; two hops each.
  CHECK(seconds(s, gather) == Approx(0.6e-3 + 2.4e-3 + 4e-6).margin(8 * tick));
  CHECK(seconds(s, {CollectiveKind::reduce_scatter, 1, Bytes(64e6)}) == seconds(s, gather));
  CHECK(seconds(s, {CollectiveKind::all_reduce, 1, Bytes(64e6)}) == Approx(2 * seconds(s, gather)));
  CHECK(seconds(s, gather, MultiAxis::concurrent) == Approx(0.3e-3 + 1.2e-3 + 4e-6).margin(8 * tick));
}

TEST_CASE("rings over every 4th chip relay through the chips between")
{
  using nlohmann::json;
  const Prepared p = test::prepare({.slice = "12x2x2",
                                    .batch = 48,
                                    .mesh  = {{"data", {{{"axis", "x"}, {"length", 3}, {"stride", 4}}, "y", "z"}},
                                              {"model", {{"axis", "x"}, {"length", 4}}}}});
  // 3 chips, 4 links apart: one step of 20 MB each way, over four links, each of which carries four rings in turn.
  const Placement strided{{p.scenario.placement[0][0]}};
  const Plan own =
      plan({CollectiveKind::all_gather, 1, Bytes(60e6)}, p.scenario.machine, strided, MultiAxis::sequential);
  CHECK(static_cast<double>(duration(own)) * tick == Approx(4 * (2e-3 + 1e-6)).margin(8 * tick));
}
