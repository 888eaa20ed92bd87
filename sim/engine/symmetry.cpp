#include "sim/engine/symmetry.hpp"

#include <vector>

namespace podsim {
namespace {

// By how many places all of an axis may be shifted without anything looking different: on a ring that one mesh axis has
// for itself, by whole hosts. 0: by none.
std::int64_t free_shift(std::size_t axis, const Machine& machine, const Placement& placement,
                        std::optional<std::size_t> pipeline)
{
  const std::int64_t size  = machine.lattice.axes[axis].size;
  const std::int64_t block = machine.host.block[axis];
  bool whole               = false;
  for (std::size_t i = 0; i < placement.size(); ++i)
    for (const AxisFactor& factor : placement[i])
      if (factor.axis == axis && factor.length > 1) {
        if (pipeline == i || !factor.closed || factor.length != size)
          return 0;
        whole = true;
      }
  return whole && !machine.lattice.twisted && size % block == 0 ? block : 0;
}

} // namespace

Overrides shifted_to_start(const Overrides& overrides, const Machine& machine, const Placement& placement,
                           std::optional<std::size_t> pipeline)
{
  const std::int64_t first = !overrides.devices.empty() ? overrides.devices.begin()->first
                             : !overrides.links.empty() ? overrides.links.begin()->first.device
                             : !overrides.hosts.empty()
                                 ? machine.devices_of_host(overrides.hosts.begin()->first).front()
                                 : 0;
  std::vector<std::int64_t> by;
  for (std::size_t axis = 0; axis < machine.lattice.axes.size(); ++axis) {
    const std::int64_t step = free_shift(axis, machine, placement, pipeline);
    by.push_back(step == 0 ? 0 : machine.lattice.coordinate(first, axis) / step * step);
  }
  const auto shifted = [&](std::int64_t device) {
    for (std::size_t axis = 0; axis < by.size(); ++axis) {
      const std::int64_t size = machine.lattice.axes[axis].size;
      device = machine.lattice.moved(device, axis, (machine.lattice.coordinate(device, axis) - by[axis] + size) % size);
    }
    return device;
  };
  Overrides all;
  for (const auto& [device, speed] : overrides.devices)
    all.devices[shifted(device)] = speed;
  for (const auto& [link, speed] : overrides.links)
    all.links[{shifted(link.device), link.axis, link.direction}] = speed;
  for (const auto& [host, speed] : overrides.hosts)
    all.hosts[machine.host_of(shifted(machine.devices_of_host(host).front()))] = speed;
  return all;
}

} // namespace podsim
