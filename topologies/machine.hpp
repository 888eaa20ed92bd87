#pragma once
// The machine of a job as a lattice of devices: what a device is coordinates, and what joins it to its
// neighbours depends on the axis. From the fastest-varying axis to the slowest:
//   local  the cores of a chip or the GPUs of a node, all joined to all through a switch
//   ici    the axes of a slice's torus: a link to each neighbour, in both directions
//   dcn    the pods (or GPU nodes), joined by a data-center network that hosts reach through their NICs
// The lattice is implicit: a link is a device, an axis and a direction.

#include "topologies/chip.hpp"
#include "topologies/overrides.hpp"
#include "topologies/routing.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace podsim {

enum class AxisKind : std::uint8_t { local, ici, dcn };

struct LatticeAxis {
  std::string name; // "core", "nvlink", "x", "y", "z", "dcn"
  AxisKind kind;
  std::int64_t size;
  bool closed; // to a ring; local and DCN axes always are, by their switches
};

struct Lattice {
  std::vector<LatticeAxis> axes;
  bool twisted = false; // the torus: its wraps shift other axes (topologies/routing.hpp), so that no short axis closes

  std::int64_t devices() const;
  std::int64_t coordinate(std::int64_t device, std::size_t axis) const;
  std::int64_t moved(std::int64_t device, std::size_t axis, std::int64_t to) const; // the device with that coordinate
};

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
  std::int64_t devices_per_host() const;           // of a slice smaller than a host's block, what there is
  const Wire& wire(std::size_t axis) const;        // of a local or ICI axis
  RoutedLattice torus() const;                     // the ICI axes alone
  std::string shape() const;                       // "2 pods of 12x16x16", "280 nodes of 8"
  std::string axis_name(std::size_t axis) const;   // "x", "pod", "node"
  std::string describe(std::int64_t device) const; // "pod 0, z 5, y 4, x 3"
};

// Complains of a slice that the machine's pods cannot form.
Machine read_machine(Reader machine);

// A part of a lattice axis on which (a factor of) a mesh axis lies: `length` devices, `stride` apart.
struct AxisFactor {
  std::size_t axis;
  std::int64_t length;
  std::int64_t stride;
  bool closed; // the last is as near to the first as any two neighbours
  friend bool operator==(const AxisFactor&, const AxisFactor&) = default;
};

// Where a mesh axis lies: on factors of lattice axes, the first varying fastest.
using AxisPlacement = std::vector<AxisFactor>;
using Placement     = std::vector<AxisPlacement>; // one entry a mesh axis

std::string describe(const AxisPlacement& placement, const Machine& machine);

// The place of a device among the `length` of a factor; and among all of a mesh axis.
std::int64_t position(const AxisFactor& factor, std::int64_t device, const Lattice& lattice);
std::int64_t position(const AxisPlacement& placement, std::int64_t device, const Lattice& lattice);

} // namespace podsim
