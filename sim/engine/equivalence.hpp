#pragma once
// Folding in space. Devices that cannot be told apart form a class, and one representative is
// simulated for each; what it would hear from a neighbour comes from the neighbour's class.
//
// Devices are told apart by colour refinement: a first colour from what a device is (its pipeline stage, its place
// on an open line, its speed, its distance from a slow or dead link, the NICs round the pods, how many share its own),
// then, until nothing changes, by the set of colours found in each group that it communicates with. A closed, healthy
// torus of whole hosts is one class.
//
// Sets suffice, and directed transfers need not be told apart (which would make nearly all chips classes of their own
// as soon as one differs), because a ring starts only when all its members are there. From then on every link of the
// ring does the same at the same time, whatever its ends are: all its other users are rings of the same line, and these
// start as one, too. That fails where mesh axes share a line in parts; there a line is told apart by the order of
// its colours. So is a ring of more than two pods, where a host's NIC hears one other: classes that hold several pods
// would hear several; and one of more than two GPUs that is not the whole node, as each GPU's port serves other rings.
// Devices of a host share its NIC: there it matters how many of each colour there are. That a host of one colour tells
// nothing apart holds only if all such hosts are of one size, which a closed torus does not see to: on a ring of 3 with
// hosts of 2x2 two chips are on hosts of four, and the third on one of two. It hears from other pods earlier, and
// starts its rings across this one while the others still wait. So first colours count who shares a NIC, where a mesh
// axis goes over the DCN and hosts differ.

#include "sim/sharding/mesh.hpp"
#include "topologies/machine.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace podsim {

// A set of devices that communicate, seen from one of them: those of some factors through it. On a torus axis that is
// the whole segment of the factor, since chips a stride apart relay through those between them.
struct Span {
  std::vector<AxisFactor> factors;
  bool host    = false; // the devices of its host, and nothing else
  bool ordered = false; // a part of a line, or pods in a ring: its members are told apart by who stands where
};

std::vector<std::int64_t> members(const Span& span, std::int64_t device, const Machine& machine);
Span span_of(AxisMask axes, const Placement& placement);

struct DeviceClass {
  std::int64_t representative; // the first device of the class
  std::int64_t devices;
};

struct DeviceClasses {
  std::vector<DeviceClass> classes;
  std::vector<int> class_of = {}; // of each device; empty where all are of one class
  int of(std::int64_t device) const { return class_of.empty() ? 0 : class_of[static_cast<std::size_t>(device)]; }
};

// The coarsest partition that is safe for the collectives of this placement, and that tells pipeline stages
// apart where a mesh axis (its index) is one of stages.
DeviceClasses fold(const Machine& machine, const Placement& placement, std::optional<std::size_t> pipeline = {});

// Where faults leave too many classes: bounds. A step takes no less time when something is slower (but for what shares
// a link unevenly), so that the first machine bounds it from above and the second from below. With `worst_everywhere`
// all devices that only faults tell apart are as slow as the slowest of them, and so are links of an axis and NICs;
// dead links stay. With `worst_only` the slowest device, link and NIC are left, and the first dead link.
Overrides worst_everywhere(const Machine& machine, const Placement& placement, std::optional<std::size_t> pipeline);
Overrides worst_only(const Machine& machine);

// Every device for itself.
DeviceClasses one_class_each(const Machine& machine);

// The groups of a span as classes see them: a group is the set of classes found in it.
struct Groups {
  std::vector<int> group_of;             // of each class
  std::vector<std::vector<int>> classes; // of each group, sorted
};
Groups groups(const Span& span, const DeviceClasses& partition, const Machine& machine);

// The device next to this one in `direction` (+1 or -1) along the factor: on a torus axis its physical neighbour,
// behind a switch the next of the factor; -1 past the end of an open line.
std::int64_t neighbour(const AxisFactor& factor, std::int64_t device, int direction, const Machine& machine);

// What the links of the line through a device make of a ring on it: the slowest that works, and where one is dead, the
// coordinate on the line from which the open line that is left begins. On the DCN the NICs of the ring's hosts.
struct RingCondition {
  double slowest = 1;
  std::optional<std::int64_t> cut_before;
};
RingCondition ring_condition(const AxisFactor& factor, std::int64_t device, const Machine& machine);

} // namespace podsim
