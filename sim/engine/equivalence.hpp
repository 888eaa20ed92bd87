#pragma once
// Folding in space. Devices that cannot be told apart form a class, and one representative is
// simulated for each; what it would hear from a neighbour comes from the neighbour's class.
//
// Devices are told apart by colour refinement: a first colour from what a device is (its pipeline stage, its place
// on an open line), then, until nothing changes, by the colours found in each group that it communicates
// with. A closed, healthy torus is one class. (Refining by single directed transfers would tell nearly all
// chips apart as soon as one differs; groups suffice because a ring starts only when all its members are there.)

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
  bool host = false; // the devices of its host, and nothing else
};

std::vector<std::int64_t> members(const Span& span, std::int64_t device, const Machine& machine);
Span span_of(AxisMask axes, const Placement& placement);

struct DeviceClass {
  std::int64_t representative; // the first device of the class
  std::int64_t devices;
};

struct DeviceClasses {
  std::vector<int> class_of; // of each device
  std::vector<DeviceClass> classes;
};

// The coarsest partition that is safe for the collectives of this placement, and that tells pipeline stages
// apart where a mesh axis (its index) is one of stages.
DeviceClasses fold(const Machine& machine, const Placement& placement, std::optional<std::size_t> pipeline = {});

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

// The device whose position on the whole placement is one further (around from the last to the first).
std::int64_t neighbour(const AxisPlacement& placement, std::int64_t device, int direction, const Machine& machine);

} // namespace podsim
