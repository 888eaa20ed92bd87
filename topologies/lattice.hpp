#pragma once
// The lattice of a machine's devices, and where the axes of a mesh lie on it: geometry, of which nothing has a speed.
// What a device is are coordinates, and what joins it to its neighbours depends on the axis. From the fastest-varying
// axis to the slowest:
//   local  the cores of a chip or the GPUs of a node, all joined to all through a switch
//   ici    the axes of a slice's torus: a link to each neighbour, in both directions
//   dcn    the pods (or GPU nodes), joined by a data-center network that hosts reach through their NICs
// The lattice is implicit: a link is a device, an axis and a direction.

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

// The place of a device among the `length` of a factor; and among all of a mesh axis.
std::int64_t position(const AxisFactor& factor, std::int64_t device, const Lattice& lattice);
std::int64_t position(const AxisPlacement& placement, std::int64_t device, const Lattice& lattice);

// The stretch of a lattice axis that a factor takes through a device: all between its members, strides included.
struct Line {
  std::int64_t first, extent; // coordinates
};
Line line(const AxisFactor& factor, std::int64_t device, const Lattice& lattice);

// Whether the members of a factor reach each other through the devices between them, and not through a switch.
bool relays(const AxisFactor& factor, const Lattice& lattice);

// The device next to this one in `direction` (+1 or -1): on a torus axis its physical neighbour, behind a switch the
// next of the factor; -1 past the end of an open line.
std::int64_t next_on_line(const AxisFactor& factor, std::int64_t device, int direction, const Lattice& lattice);

// The device whose position on the whole placement is one further (around from the last to the first).
std::int64_t neighbour(const AxisPlacement& placement, std::int64_t device, int direction, const Lattice& lattice);

// The devices of these factors through one, sorted: on a torus axis all of the line.
std::vector<std::int64_t> members(const std::vector<AxisFactor>& factors, std::int64_t device, const Lattice& lattice);

// The one of them by which the group is known, of the lowest coordinates.
std::int64_t first_member(const std::vector<AxisFactor>& factors, std::int64_t device, const Lattice& lattice);

// No place on the lattice is like no other.
bool is_closed(const Placement& placement);

// Of the factors that lie on a lattice axis, the first that does not span those before it: together they must name each
// place of the axis once.
struct Overlapping {
  AxisFactor factor;
  std::int64_t needs; // the stride that it should have
};
std::optional<Overlapping> overlapping(const Placement& placement, std::size_t axis);

} // namespace podsim
