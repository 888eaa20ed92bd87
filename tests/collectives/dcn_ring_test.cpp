// Rings across pods, over the NICs that the chips of a host share.

#include "tests/support/collective_setting.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("across pods the chips of a host share its NIC")
{
  const Setting s = setting("4x4x2", 2);
  // Half of 64 MB to the other pod, then the sum of that half back: twice 32 MB at 8 GB/s / 4.
  const Collective exchange{CollectiveKind::all_reduce, 4, Bytes(64e6)};
  // The sums go back as they come to be known: one latency.
  CHECK(seconds(s, exchange) == Approx(2 * 32e6 / 2e9 + 10e-6).margin(8 * tick));
  CHECK(simulated(s, {operation(exchange)}, Granularity::chunk) == Approx(seconds(s, exchange)).epsilon(1e-9));
  // With a PCIe of 1 GB/s a chip the bus binds: 32 ms each way.
  const Setting slow = setting("4x4x2", 2, {R"(machine.host.pcie_bandwidth="1 GB/s")"});
  CHECK(seconds(slow, exchange) == Approx(2 * 32e6 / 1e9 + 10e-6).margin(8 * tick));
  CHECK(simulated(slow, {operation(exchange)}, Granularity::chunk) == Approx(seconds(slow, exchange)).epsilon(1e-9));
}

TEST_CASE("over torus and pods, the pods exchange what each has reduced")
{
  // 64 MB over 4 chips in the pod and 2 pods: 16 MB a chip are left for the DCN, 2 x 8 MB at 8 GB/s / 4.
  const Setting s       = setting("4x4x2", 2);
  const double in_pod   = 2 * (1.6e-3 + 0.8e-3 + 2e-6);
  const double exchange = 2 * 8e6 / 2e9 + 10e-6;
  CHECK(seconds(s, {CollectiveKind::all_reduce, 2 | 4, Bytes(64e6)}) == Approx(in_pod + exchange).margin(16 * tick));
}

TEST_CASE("a slice smaller than a host's block shares its NIC among the chips there are")
{
  const Setting s = setting("1x1x4", 2);
  CHECK(s.prepared.scenario.machine.devices_per_host() == 1);
  CHECK(seconds(s, {CollectiveKind::all_reduce, 4, Bytes(64e6)}) == Approx(2 * 32e6 / 8e9 + 10e-6).margin(8 * tick));
}

TEST_CASE("of a ring across pods the NIC sets the pace, or for small chunks the latency of each step")
{
  // 4 pods, all-reduced by the 4 chips of each host: 3 + 3 steps of a quarter.
  const Setting s   = setting("4x4x2", 4);
  const auto reduce = [](double size) { return Collective{CollectiveKind::all_reduce, 4, Bytes(size)}; };
  // 16 MB a step, 4 chips at once over 8 GB/s: 8 ms a step, one latency. Cut off from the others, 2 ms a step.
  CHECK(seconds(s, reduce(64e6)) == Approx(6 * 8e-3 + 10e-6).margin(8 * tick));
  // 8 kB a step: 1 us, or 4 us for all four, before the next one may go on after 10 us.
  CHECK(seconds(s, reduce(32e3)) == Approx(6 * 10e-6 + 1e-6).margin(8 * tick));
  // 24 kB a step: 3 us alone and 12 us for all four, whose NIC sets the pace.
  CHECK(seconds(s, reduce(96e3)) == Approx(10e-6 + 6 * 12e-6).margin(8 * tick));
  for (const double size : {64e6, 32e3, 96e3}) {
    CHECK(simulated(s, {operation(reduce(size))}, Granularity::chunk) == seconds(s, reduce(size)));
    // A gather alone has half the steps.
    const Collective gather{CollectiveKind::all_gather, 4, Bytes(size)};
    CHECK(simulated(s, {operation(gather)}, Granularity::chunk) == seconds(s, gather));
  }
}
