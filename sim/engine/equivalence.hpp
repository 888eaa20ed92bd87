#pragma once
// Folding in space. Devices that cannot be told apart form a class, and one representative is
// simulated for each; what it would hear from a neighbour comes from the neighbour's class.
//
// Devices are told apart by colour refinement: a first colour from what a device is (its program, its place
// on an open line), then, until nothing changes, by the colours found in each group that it communicates
// with. A closed, healthy torus is one class. (Refining by single directed transfers would tell nearly all
// chips apart as soon as one differs; groups suffice because a ring starts only when all its members are there.)

#include "sim/sharding/mesh.hpp"
#include "topologies/machine.hpp"

#include <cstdint>
#include <vector>

namespace podsim {

// A set of devices that communicate, seen from one of them: the lines of some torus axes through it (a
// segment, where the factor is one) and, with `pods`, its counterparts in all pods.
struct Span {
  std::vector<TorusFactor> factors;
  bool pods = false;
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

// The coarsest partition that is safe for the collectives of this placement.
DeviceClasses fold(const Machine& machine, const Placement& placement);

// Every device for itself.
DeviceClasses one_class_each(const Machine& machine);

// The groups of a span as classes see them: a group is the set of classes found in it.
struct Groups {
  std::vector<int> group_of;             // of each class
  std::vector<std::vector<int>> classes; // of each group, sorted
};
Groups groups(const Span& span, const DeviceClasses& partition, const Machine& machine);

// The place of a chip in the ring or on the line of a factor.
std::int64_t position(const TorusFactor& factor, std::int64_t device, const Machine& machine);

// The device next to this one in `direction` (+1 or -1) on the factor's axis; -1 past the end of an open line.
std::int64_t neighbour(const TorusFactor& factor, std::int64_t device, int direction, const Machine& machine);

} // namespace podsim
