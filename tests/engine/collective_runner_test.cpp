// Collectives chunk by chunk: alone as long as their closed forms, together as long as their links allow.

#include "tests/support/collective_setting.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("a lone collective, chunk by chunk, takes its closed form to the last bit")
{
  for (const char* slice : {"4x4x4", "3x4x5", "12x2x2", "2x3x6", "6x1x4"})
    for (const bool closed : {true, false})
      for (const CollectiveKind kind :
           {CollectiveKind::all_gather, CollectiveKind::reduce_scatter, CollectiveKind::all_reduce})
        for (const AxisMask axes : {1U, 2U, 3U}) {
          const Setting s =
              setting(slice, 1, closed ? std::vector<std::string>{} : std::vector<std::string>{"machine.ici.cube=17"});
          const Collective collective{kind, axes, Bytes(1234567.0)};
          CAPTURE(slice, closed, static_cast<int>(kind), axes);
          CHECK(simulated(s, {operation(collective)}, Granularity::chunk) == seconds(s, collective));
          CHECK(simulated(s, {operation(collective)}, Granularity::collective) == seconds(s, collective));
        }
}

TEST_CASE("two collectives on one ring share its links")
{
  const Setting s = setting("4x4x4");
  // Alone: 1.6 ms and 0.8 ms and two hops. Together each step takes twice as long, the hops do not.
  const double alone    = simulated(s, {operation(gather_x)}, Granularity::chunk);
  const double together = simulated(s, {operation(gather_x, true), operation(gather_x)}, Granularity::chunk);
  CHECK(alone == Approx(2.4e-3 + 2e-6).margin(4 * tick));
  CHECK(together == Approx(2 * 2.4e-3 + 2e-6).margin(8 * tick));
  CHECK(together == simulated(s, {operation(gather_x, true), operation(gather_x)}, Granularity::chunk, true));
  // Granularity "auto" finds that they may meet; as single events they would not hinder each other.
  CHECK(simulated(s, {operation(gather_x, true), operation(gather_x)}, Granularity::automatic) == together);
  CHECK(simulated(s, {operation(gather_x, true), operation(gather_x)}, Granularity::collective) == alone);
  // Different axes have links of their own.
  const Collective gather_yz{CollectiveKind::all_gather, 1, Bytes(64e6)};
  CHECK(simulated(s, {operation(gather_yz, true), operation(gather_x)}, Granularity::chunk) == seconds(s, gather_yz));
}

// A true anomaly of shared links, as real machines have it: what is slow can keep a transfer that nobody is in a hurry
// for out of the way of one that all wait for.
TEST_CASE("a slow link can shorten a step, where two collectives share another link")
{
  const auto step = [](const std::vector<std::string>& changes) {
    const Setting s = setting("4x4x1", 1, changes);
    // A small gather over y; a large one over x that follows it and is needed last; one as large that all wait for at
    // once and that 9.9 ms of computation follow.
    DeviceOperation small = operation({CollectiveKind::all_gather, 1, Bytes(128e3)}, true);
    DeviceOperation late  = operation(gather_x, true);
    late.needs            = {0};
    DeviceOperation after{.name = "product", .kind = DeviceOperation::Kind::compute};
    after.work.matrix    = {1, 4096, 4096, 7 * 4096};
    DeviceOperation last = after;
    last.work.matrix     = {1, 128, 128, 128};
    last.needs           = {1};
    return simulated(s, {small, late, operation(gather_x), after, last}, Granularity::automatic);
  };
  // The two large ones, 2.4 ms each by themselves, share the links of x: both take 4.8 ms.
  CHECK(step({}) == Approx(2 * 2.4e-3 + 9.62e-3).epsilon(.01));
  // With a link of y at a thousandth the small gather takes 3.2 ms; until then the urgent one has the links of x.
  CHECK(step({R"(faults={"links": [{"at": {"x": 0, "y": 0}, "axis": "y", "bandwidth": 0.001}]})"}) ==
        Approx(2.4e-3 + 9.62e-3).epsilon(.01));
}
