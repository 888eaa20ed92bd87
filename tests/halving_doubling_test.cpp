// Recursive halving and doubling between nodes with a NIC of 8 GB/s each, 10 us across.

#include "sim/collectives/duration.hpp"
#include "tests/small_scenario.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

namespace {

// An all-reduce between nodes of one chip each.
double seconds(int nodes, double size)
{
  const nlohmann::json none    = nlohmann::json::object();
  const nlohmann::json unsplit = {{"name", "unsplit"}, {"weights", none}, {"activations", none}, {"compute", none}};
  const Prepared p             = test::prepare({.slice      = "1x1x1",
                                                .pods       = nodes,
                                                .sharding   = unsplit,
                                                .mesh       = {{"pod", "dcn"}},
                                                .changes    = {R"(software.dcn_all_reduce="halving doubling")"},
                                                .replicated = {"pod"}});
  const Scenario& s            = p.scenario;
  const Plan own = plan({CollectiveKind::all_reduce, 1, Bytes(size)}, s.machine, s.placement, s.software.collectives);
  return static_cast<double>(duration(own)) / ticks_per_second;
}

} // namespace

TEST_CASE("a small sum by halving and doubling takes twice the logarithm of the nodes")
{
  CHECK(seconds(2, 8) == Approx(2 * 10e-6).margin(3e-9));
  CHECK(seconds(32, 8) == Approx(10 * 10e-6).margin(3e-9));
  // 33 and 63 nodes: those beyond 32 send to a partner first, and hear of it at the end.
  CHECK(seconds(33, 8) == Approx(12 * 10e-6).margin(6e-9));
  CHECK(seconds(63, 8) == Approx(12 * 10e-6).margin(6e-9));
}

TEST_CASE("a large sum by halving and doubling sends what a ring does, and more where some stand behind others")
{
  // 800 MB over 8 nodes: 50, 25 and 12.5 ms for a half, a quarter and an eighth, and the same back: 7/8 of 200 ms.
  CHECK(seconds(8, 800e6) == Approx(175e-3 + 6 * 10e-6).margin(1e-9));
  // Over 6, four exchange: 50 and 25 ms there and back; two send all, 100 ms, and get the sum, 100 ms.
  CHECK(seconds(6, 800e6) == Approx(150e-3 + 200e-3 + 6 * 10e-6).margin(1e-9));
}
