// All-to-alls, by hand, in one event and by chunks.

#include "tests/support/collective_setting.hpp"

#include <catch2/catch.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("an all-to-all goes over all axes at once, and the links of the longest decide")
{
  const auto exchange = [](AxisMask axes) { return Collective{CollectiveKind::all_to_all, axes, Bytes(64e6)}; };
  // On a ring of 4 a chip sends a quarter to each: the chip opposite takes both ways by halves, and a link carries
  // 4^2/8 = 2 quarters. 2 hops to the far side.
  CHECK(seconds(setting("4x4x4"), exchange(2)) == Approx(2 * 16e6 / 10e9 + 2e-6).margin(4 * tick));
  // Of y and z each link carries for 16 chips what it would for 4, in parts of a 16th: the same time, 4 hops, not
  // twice.
  CHECK(seconds(setting("4x4x4"), exchange(1)) == Approx(2 * 16e6 / 10e9 + 4e-6).margin(4 * tick));
  // On a line of 4 the middle link carries 2 x 2 quarters each way.
  CHECK(seconds(setting("4x4x4", 1, {"machine.ici.cube=5"}), exchange(2)) ==
        Approx(4 * 16e6 / 10e9 + 3e-6).margin(4 * tick));
  // Across 2 pods half of it leaves, of 4 chips through one NIC of 8 GB/s.
  CHECK(seconds(setting("4x4x4", 2), exchange(4)) == Approx(4 * 32e6 / 8e9 + 10e-6).margin(8 * tick));
}

TEST_CASE("an all-to-all by chunks: as long as in one event, and it shares its links")
{
  const Setting s = setting("4x4x4");
  // 64 MB a device over a ring of 4: 16 MB blocks, 2 (n^2/8) a link: 3.2 ms, and two hops.
  const Collective exchange_x{CollectiveKind::all_to_all, 2, Bytes(64e6)};
  const double alone = 3.2e-3 + 2e-6;
  for (const Granularity granularity : {Granularity::collective, Granularity::chunk})
    CHECK(simulated(s, {operation(exchange_x)}, granularity) == Approx(alone).margin(4 * tick));
  // Over y and z: 16 blocks of 4 MB; on a line of y, 2 for each of the 4 that stand behind one: 8 x 4 MB = 3.2 ms. The
  // longest way is two hops on each axis.
  const Collective exchange_yz{CollectiveKind::all_to_all, 1, Bytes(64e6)};
  for (const Granularity granularity : {Granularity::collective, Granularity::chunk})
    CHECK(simulated(s, {operation(exchange_yz)}, granularity) == Approx(3.2e-3 + 4e-6).margin(4 * tick));
  // Beside an all-gather of 2.4 ms on the same links: both together keep each link busy for 5.6 ms. While they share,
  // each has half: the all-gather ends after 4.8 ms and its two hops, in which the all-to-all had the link for itself.
  const std::vector<DeviceOperation> both{operation(gather_x, true), operation(exchange_x)};
  const double together = simulated(s, both, Granularity::chunk);
  CHECK(together >= 5.6e-3);
  CHECK(together == Approx(5.6e-3 + 2e-6).margin(3e-6));
  CHECK(together == simulated(s, both, Granularity::chunk, true));
  CHECK(simulated(s, both, Granularity::automatic) == together);
  // On other axes nobody is in the way.
  CHECK(simulated(s, {operation(gather_x, true), operation(exchange_yz)}, Granularity::chunk) ==
        Approx(3.2e-3 + 4e-6).margin(4 * tick));
}

TEST_CASE("an all-to-all over two parts of one axis puts both on its links")
{
  using nlohmann::json;
  const json near    = {{"axis", "x"}, {"length", 2}};
  const json far     = {{"axis", "x"}, {"length", 2}, {"stride", 2}};
  const json unsplit = {
      {"name", "unsplit"}, {"weights", json::object()}, {"activations", json::object()}, {"compute", json::object()}};
  Prepared prepared         = test::prepare({.slice      = "4x2x2",
                                             .sharding   = unsplit,
                                             .mesh       = {{"data", {"y", "z"}}, {"near", near}, {"far", far}},
                                             .replicated = {"data", "near", "far"}});
  const Placement placement = prepared.scenario.placement;
  const Setting s{std::move(prepared), placement};
  // Half of 32 MB goes to the other of the pair, over one link: 16 MB, 1.6 ms. Half goes two links on round the ring of
  // 4, by halves both ways, and passes as many of others' on: 16 MB on each link again. Three hops to the far corner.
  const Collective exchange{CollectiveKind::all_to_all, 2 | 4, Bytes(32e6)};
  const double both = simulated(s, {operation(exchange)}, Granularity::chunk);
  CHECK(both == Approx(2 * 1.6e-3 + 3e-6).margin(4 * tick));
  for (const Granularity granularity : {Granularity::collective, Granularity::automatic})
    CHECK(simulated(s, {operation(exchange)}, granularity) == Approx(both).epsilon(0).margin(4 * tick));
  CHECK(simulated(s, {operation(exchange)}, Granularity::chunk, true) == both);
}
