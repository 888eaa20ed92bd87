// Collectives on the generic machine: links of 10 GB/s, 1 us a hop, NICs of 8 GB/s for 4 chips, 10 us across.

#include "sim/collectives/duration.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

namespace {

constexpr double tick = 1 / ticks_per_second;

struct Setting {
  Prepared prepared;
  Placement placement;
};

// Mesh axes: bit 0 data on y and z, bit 1 model on x, bit 2 pod.
Setting setting(const std::string& slice, int pods = 1, std::vector<std::string> changes = {})
{
  std::vector<std::pair<std::string, nlohmann::json>> mesh{{"data", {"y", "z"}}, {"model", "x"}};
  if (pods > 1)
    mesh.emplace_back("pod", "dcn");
  const nlohmann::json none    = nlohmann::json::object();
  const nlohmann::json unsplit = {{"name", "unsplit"}, {"weights", none}, {"activations", none}, {"compute", none}};
  std::vector<std::string> axes;
  for (const auto& [name, on] : mesh)
    axes.push_back(name);
  Prepared prepared   = test::prepare({.slice      = slice,
                                       .pods       = pods,
                                       .sharding   = unsplit,
                                       .mesh       = mesh,
                                       .changes    = std::move(changes),
                                       .replicated = axes});
  Placement placement = prepared.scenario.placement;
  return {std::move(prepared), std::move(placement)};
}

double seconds(const Setting& s, const Collective& collective, MultiAxis multi_axis = MultiAxis::sequential)
{
  return static_cast<double>(duration(plan(collective, s.prepared.scenario.machine, s.placement, multi_axis))) * tick;
}

DeviceOperation operation(Collective collective, bool asynchronous = false)
{
  DeviceOperation op{.name = "collective", .kind = DeviceOperation::Kind::collective};
  op.collective   = collective;
  op.asynchronous = asynchronous;
  return op;
}

double simulated(const Setting& s, std::vector<DeviceOperation> operations, Granularity granularity,
                 bool explicit_devices = false, MultiAxis multi_axis = MultiAxis::sequential)
{
  DeviceBlock block;
  block.name       = "test";
  block.operations = std::move(operations);
  return test::simulate(one_stage(s.prepared.scenario.mesh, {block}), s.prepared.scenario.machine, s.placement,
                        multi_axis, granularity, explicit_devices)
      .end.value();
}

const Collective gather_x{CollectiveKind::all_gather, 2, Bytes(64e6)};

} // namespace

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
