#pragma once
// The machine of a job: a slice of chips joined by a torus (ICI), one or more such slices in pods of their own,
// hosts that own a few chips each, and the data-center network (DCN) between pods.
//
// A torus is an implicit lattice: a chip is its coordinates, a link is a chip, an axis and a direction.

#include "topologies/chip.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace podsim {

// A lattice of chips; each axis is closed to a ring or open.
struct Torus {
  std::vector<std::int64_t> shape;
  std::vector<bool> closed;

  std::int64_t chips() const;
  std::int64_t coordinate(std::int64_t chip, std::size_t axis) const;
  std::int64_t moved(std::int64_t chip, std::size_t axis, std::int64_t to) const; // the chip with that coordinate
};

std::string axis_name(std::size_t torus_axis); // "x", "y", "z"

struct Ici {
  BytesPerSecond link_bandwidth; // one direction of one link
  double link_efficiency = 1;
  Seconds hop_latency;
  BytesPerSecond effective() const { return link_bandwidth * link_efficiency; }
};

struct Host {
  std::vector<std::int64_t> chips; // the block of the torus that it owns
  BytesPerSecond pcie_bandwidth;   // one chip to host memory, each direction
  BytesPerSecond nic_bandwidth;    // host to DCN, each direction
};

struct Machine {
  std::string name;
  Chip chip;
  Torus torus; // of one slice
  std::int64_t pods = 1;
  Ici ici;
  Host host;
  Seconds dcn_latency;

  std::int64_t devices() const { return pods * torus.chips(); }
  std::int64_t pod_of(std::int64_t device) const { return device / torus.chips(); }
  std::int64_t chip_of(std::int64_t device) const { return device % torus.chips(); }
  std::int64_t host_of(std::int64_t device) const;
  std::int64_t chips_per_host() const; // of a slice smaller than a host's block, what there is
};

// Complains of a slice that the machine's pods cannot form.
Machine read_machine(Reader machine);

// A part of a torus axis on which (a factor of) a mesh axis lies: `length` chips, `stride` apart.
struct TorusFactor {
  std::size_t axis;
  std::int64_t length;
  std::int64_t stride;
  bool closed; // the last is as near to the first as any two neighbours
  friend bool operator==(const TorusFactor&, const TorusFactor&) = default;
};

// Where a mesh axis lies: across pods on the DCN, or on factors of torus axes, the first varying fastest.
struct AxisPlacement {
  bool on_dcn = false;
  std::vector<TorusFactor> factors;
};

using Placement = std::vector<AxisPlacement>; // one entry a mesh axis

std::string describe(const AxisPlacement& placement);

} // namespace podsim
