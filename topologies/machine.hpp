#pragma once
// The machine of a job: a lattice of devices, what joins them, and what shares it.

#include "topologies/chip.hpp"
#include "topologies/lattice.hpp"
#include "topologies/overrides.hpp"
#include "topologies/routing.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace podsim {

// One direction of one device's way out along an axis.
struct Wire {
  BytesPerSecond bandwidth;
  double efficiency = 1;
  Seconds latency; // a hop, or a step of a ring
  BytesPerSecond effective() const { return bandwidth * efficiency; }
};

struct Host {
  std::vector<std::int64_t> block; // of the lattice: the devices that share a NIC; 1 on the DCN axis
  BytesPerSecond pcie_bandwidth;   // one device to host memory, each direction
  BytesPerSecond nic_bandwidth;    // each direction
};

struct Machine {
  std::string name;
  Chip chip; // one device of it
  Lattice lattice;
  Wire local; // of the axis of that kind, if there is one
  Wire ici;   // a device's share of its chip's link
  Host host;
  Seconds dcn_latency;
  double pod_spread      = 0; // scale of the spread of a pod's step times, over their mean
  std::int64_t cube      = 0; // side of the cubes that optical switches join to slices; 0: cut from a fixed torus
  std::int64_t pod_chips = 0; // of a whole pod, of which the slice is a part
  Overrides overrides;        // of single devices, links and hosts

  // Of the place where it stands, if its file says so.
  std::optional<double> pue; // energy of the whole building over that of its computers
  std::optional<GridIntensity> grid_intensity;

  std::int64_t devices() const { return lattice.devices(); }
  std::int64_t chips() const { return devices() / chip.devices; }
  const char* device_word() const { return chip.devices > 1 ? "core" : "chip"; } // what people call a device
  std::size_t dcn_axis() const { return lattice.axes.size() - 1; } // there always is one, if only of one pod
  std::int64_t pods() const { return lattice.axes.back().size; }
  std::int64_t devices_per_pod() const { return devices() / pods(); }
  std::int64_t host_of(std::int64_t device) const; // equal for devices that share a NIC
  std::vector<std::int64_t> devices_of_host(std::int64_t of) const;
  std::int64_t devices_per_host() const;                // of a slice smaller than a host's block, what there is
  const Wire& wire(std::size_t axis) const;             // of a local or ICI axis
  RoutedLattice torus() const;                          // the ICI axes alone
  std::string shape() const;                            // "2 pods of 12x16x16", "280 nodes of 8"
  std::string axis_name(std::size_t axis) const;        // "x", "pod", "node"
  std::string describe(std::int64_t device) const;      // "pod 0, z 5, y 4, x 3"; on TPU v2 and v3 with the core before
  std::string describe_chip(std::int64_t device) const; // the same of the whole chip
};

// Complains of a slice that the machine's pods cannot form. `before`: what the same place came to in a first reading.
Machine read_machine(Reader machine, const Machine* before = nullptr);

std::string describe(const AxisPlacement& placement, const Machine& machine);

} // namespace podsim
