#pragma once
// Minimal routes on a lattice of chips, and what a uniform all-to-all puts on its links.
//
// In an all-to-all each device sends an equal block to each other device of its group; all groups of the machine do
// so at once. A block takes a shortest way, one axis after the other (ICI's tables are in dimension order: Zu et al.,
// NSDI 2024); where several displacements are equally short (the chip opposite on an even ring), it is split evenly
// over them. The busiest link bounds the time from below:
//     T = busiest link's blocks x block / link bandwidth + hops of the longest way x hop latency
// A group of all chips of a closed lattice loads alike in every order of the axes. On an open lattice, one axis after
// the other keeps a line's load to n^2/4 blocks, the same as its middle cut; spreading a block over every order of hops
// would crowd the middle of the machine. Real tables, with one way for each pair, split ties less evenly: measured
// gains of twisted tori stay 6 to 7% below these loads (tests/topologies/routing_test.cpp).

#include "sim/core/units.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace podsim {

// Crossing the wrap-around link of `axis` upwards also moves by `by` along `shifted`, another closed axis.
struct WrapShift {
  std::size_t axis;
  std::size_t shifted;
  std::int64_t by;
  friend bool operator==(const WrapShift&, const WrapShift&) = default;
};

// Each axis is closed to a ring or open; on a closed axis of two, a chip has two links to the other. A twist
// needs all axes closed, and an axis whose own wrap shifts others cannot be shifted.
struct RoutedLattice {
  std::vector<std::int64_t> shape;
  std::vector<bool> closed;
  std::vector<WrapShift> twist;

  std::int64_t chips() const;
};

// The twist that makes all directions of a slice equal, for the shapes that TPU v4 can twist (Jouppi et al. 2023, k x k
// x 2k and k x 2k x 2k, axes in any order); none for other shapes. They are the lattice graphs of Camarero, Martinez
// and Beivide ("Lattice graphs for high-scale interconnection topologies", 2015): k x k x 2k is the face-centred cubic
// FCC(k), the wraps of both short axes shift the long one by k; k x 2k x 2k is the body-centred cubic BCC(k), the
// wrap of the short axis shifts both long ones by k.
std::vector<WrapShift> symmetric_twist(const std::vector<std::int64_t>& shape);

// A group lies on parts of axes, each `length` chips, `stride` apart: chips are in one group if they differ in
// these coordinates only. The axis is a whole number of `length` x `stride`; no part comes twice.
struct GroupPart {
  std::size_t axis;
  std::int64_t length;
  std::int64_t stride = 1;
};
using LatticeGroup = std::vector<GroupPart>;

LatticeGroup all_chips(const RoutedLattice& lattice);

// Loads are of one direction of a link, in blocks that one device sends to one other.
struct AllToAllLoad {
  double busiest_link       = 0;
  double mean_link          = 0; // over all links of the lattice
  double total_hops         = 0; // of all blocks, which is the sum of the loads of all links
  double mean_hops          = 0; // of a block that leaves its device
  std::int64_t longest_hops = 0;
  // What no routing can go below: of the cuts of the lattice by two planes across an axis (an open one: by one plane),
  // bisections among them, the most blocks that must cross per link that crosses.
  double cut_bound = 0;

  // How much of the tightest cut's bandwidth is needed while the busiest link is busy: 1 where the cut binds.
  double cut_utilisation() const { return busiest_link > 0 ? cut_bound / busiest_link : 0; }
};

AllToAllLoad all_to_all_load(const RoutedLattice& lattice, const LatticeGroup& group);

// `block`: what one device sends to one other, its own tensor over the size of the group.
Seconds all_to_all_time(const AllToAllLoad& load, Bytes block, BytesPerSecond link_bandwidth, Seconds hop_latency);

} // namespace podsim
