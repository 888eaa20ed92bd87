// Recursive halving and doubling between nodes with a NIC of 8 GB/s each, 10 us across.

#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("a small sum by halving and doubling takes twice the logarithm of the nodes")
{
  CHECK(all_reduce_seconds(2, 8, "halving doubling") == Approx(2 * 10e-6).margin(3e-9));
  CHECK(all_reduce_seconds(32, 8, "halving doubling") == Approx(10 * 10e-6).margin(3e-9));
  // 33 and 63 nodes: those beyond 32 send to a partner first, and hear of it at the end.
  CHECK(all_reduce_seconds(33, 8, "halving doubling") == Approx(12 * 10e-6).margin(6e-9));
  CHECK(all_reduce_seconds(63, 8, "halving doubling") == Approx(12 * 10e-6).margin(6e-9));
}

TEST_CASE("a large sum by halving and doubling sends what a ring does, and more where some stand behind others")
{
  // 800 MB over 8 nodes: 50, 25 and 12.5 ms for a half, a quarter and an eighth, and the same back: 7/8 of 200 ms.
  CHECK(all_reduce_seconds(8, 800e6, "halving doubling") == Approx(175e-3 + 6 * 10e-6).margin(1e-9));
  // Over 6, four exchange: 50 and 25 ms there and back; two send all, 100 ms, and get the sum, 100 ms.
  CHECK(all_reduce_seconds(6, 800e6, "halving doubling") == Approx(150e-3 + 200e-3 + 6 * 10e-6).margin(1e-9));
}
