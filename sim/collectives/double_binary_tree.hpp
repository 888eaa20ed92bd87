#pragma once
// An all-reduce between n nodes over two binary trees, each of which carries half of the data: sums go up a tree in
// pieces, and results come down it as they get ready (Sanders, Speck and Traeff, "Two-tree algorithms for full
// bandwidth broadcast, reduction and scan", Parallel Computing 35, 2009). A node that is inside of one tree is a leaf
// of the other: it sends one half up and two down as the one, and one half up as the other, so that every NIC but those
// of the roots carries 2 S of S bytes, each way. The last piece leaves its leaf when the NICs are done, and has all
// hops up and down before it. With the depth d of the trees, log2(n) rounded up:
//     T = 2 d latency + 2 S/B
// What NCCL estimates (graph/tuning.cc) is of this form. Its trees are these (graph/trees.cc): inner nodes are the even
// ones, and the second tree is the first one read backwards or, for an odd n, begun one node later. Of two or three
// nodes none has two children, and NICs carry less.

#include "sim/collectives/nic_stream.hpp"

namespace podsim {

// How many halves of the data the NIC of the node sends that sends most, of n nodes; and the depth of the trees.
struct DoubleTree {
  std::int64_t busiest = 0;
  std::int64_t depth   = 0;
};
DoubleTree double_tree(std::int64_t n);

PhasePtr double_binary_tree(const AxisFactor& factor, Bytes chunk, const Machine& machine);

} // namespace podsim
