// Two binary trees between nodes with a NIC of 8 GB/s each, 10 us across.

#include "sim/collectives/double_binary_tree.hpp"

#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("two binary trees as NCCL draws them")
{
  // 4 nodes: 0 over 2, 2 over 1 and 3; backwards 3 over 1, 1 over 2 and 0. Node 2 sends one half up and two down in the
  // first, one up in the second: 4 halves. Node 0 sends one down and one up.
  CHECK(double_tree(4).busiest == 4);
  CHECK(double_tree(4).depth == 2);
  // 2 nodes: one sends its half up, the other the sum down; and so in the second tree.
  CHECK(double_tree(2).busiest == 2);
  CHECK(double_tree(2).depth == 1);
  // 3 nodes: 0 over 2 over 1: 1, 2 and 1 sends of nodes 0, 2 and 1. One later, 1 over 0 over 2: 1, 2, 1 of 1, 0, 2.
  CHECK(double_tree(3).busiest == 3);
  CHECK(double_tree(3).depth == 2);
  for (std::int64_t n = 4; n <= 300; ++n) {
    CAPTURE(n);
    CHECK(double_tree(n).busiest == 4);
    const std::int64_t depth = double_tree(n).depth; // the logarithm, rounded up
    CHECK((std::int64_t{1} << depth) >= n);
    CHECK((std::int64_t{1} << (depth - 1)) < n);
  }
}

TEST_CASE("a small sum by trees takes the logarithm of the nodes, by a ring their number")
{
  // 8 bytes over 32 nodes: 5 hops up and 5 down; a ring has 31 steps there and 31 back. 2 ns for the bytes.
  CHECK(all_reduce_seconds(32, 8, "tree") == Approx(10 * 10e-6).margin(3e-9));
  CHECK(all_reduce_seconds(32, 8, "ring") == Approx(62 * 10e-6).margin(3e-9));
  CHECK(all_reduce_seconds(64, 8, "tree") - all_reduce_seconds(32, 8, "tree") == Approx(20e-6).margin(1e-9));
  CHECK(all_reduce_seconds(64, 8, "ring") - all_reduce_seconds(32, 8, "ring") == Approx(64 * 10e-6).margin(3e-9));
  // 33 nodes are one level more; 24 are as deep as 32.
  CHECK(all_reduce_seconds(33, 8, "tree") == Approx(12 * 10e-6).margin(3e-9));
  CHECK(all_reduce_seconds(24, 8, "tree") == Approx(10 * 10e-6).margin(3e-9));
}

TEST_CASE("a large sum by trees sends the data twice over each NIC, where a ring spares an n-th")
{
  // 800 MB over 4 nodes at 8 GB/s: 200 ms; the ring 3/4 of that.
  CHECK(all_reduce_seconds(4, 800e6, "tree") == Approx(200e-3 + 4 * 10e-6).margin(1e-9));
  CHECK(all_reduce_seconds(4, 800e6, "ring") == Approx(150e-3 + 10e-6).margin(1e-9));
  // Two nodes have a half each to send and half a sum to return; three send three halves.
  CHECK(all_reduce_seconds(2, 800e6, "tree") == Approx(100e-3 + 2 * 10e-6).margin(1e-9));
  CHECK(all_reduce_seconds(3, 800e6, "tree") == Approx(150e-3 + 4 * 10e-6).margin(1e-9));
}
