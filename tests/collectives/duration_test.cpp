// How long collectives take whose parts go over all axes at once and may meet.

#include "tests/support/collective_setting.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("parts over unequal axes get in each other's way, over equal ones not")
{
  const auto shares = [](const Setting& s, const Collective& collective) {
    return shares_links_with_itself(plan(collective, s.prepared.scenario.machine, s.placement, MultiAxis::concurrent),
                                    s.prepared.scenario.machine);
  };
  const Collective gather{CollectiveKind::all_gather, 1, Bytes(64e6)};
  CHECK_FALSE(shares(setting("2x4x4"), gather));
  // Two halves over y (8 chips) and z (4). One has shards of 1 MB round z, .15 ms and two hops, then of 4 MB round y,
  // .4 + .4 + .4 + .2 ms. The other has 1 MB round y, .1 + .1 + .1 + .05 ms, then 8 MB round z, .8 + .4 ms.
  //   .153 ms  the first joins the other on y, which has .049 of its second chunk left: they share until .251
  //   .252     the other has hopped, .1 to go; shared until .452
  //   .453     hopped, .05 to go; shared until .553, when it goes on to z: .8 + .4 and two hops, until 1.755
  // The first has then passed .049 + .1 + .05, and by itself 2 us: .199 are left of its chunk, then .4 + .4 + .2 and
  // three hops, until 1.755 as well.
  const Setting s = setting("2x8x4");
  CHECK(shares(s, gather));
  CHECK(seconds(s, gather, MultiAxis::concurrent) == Approx(1.755e-3).margin(8 * tick));
  for (const bool explicit_devices : {false, true})
    CHECK(simulated(s, {operation(gather)}, Granularity::chunk, explicit_devices, MultiAxis::concurrent) ==
          Approx(1.755e-3).margin(8 * tick));
}

TEST_CASE("a lone collective over all axes at once is an event as long as its chunks take")
{
  for (const char* slice : {"2x8x4", "3x4x5", "12x2x2", "4x6x2", "6x1x4", "2x16x12"})
    for (const CollectiveKind kind :
         {CollectiveKind::all_gather, CollectiveKind::reduce_scatter, CollectiveKind::all_reduce})
      for (const AxisMask axes : {1U, 3U})
        for (const double size : {1234567.0, 654e6}) { // the hops' latency matters, or the links
          const Setting s = setting(slice);
          const Collective collective{kind, axes, Bytes(size)};
          CAPTURE(slice, static_cast<int>(kind), axes, size);
          const auto run = [&](Granularity granularity) {
            return simulated(s, {operation(collective)}, granularity, false, MultiAxis::concurrent);
          };
          const double chunk = run(Granularity::chunk);
          CHECK(run(Granularity::automatic) == Approx(chunk).epsilon(0).margin(tick));
          CHECK(seconds(s, collective, MultiAxis::concurrent) == Approx(chunk).epsilon(0).margin(tick));
        }
}
