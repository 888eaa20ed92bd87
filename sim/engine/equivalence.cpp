#include "sim/engine/equivalence.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace podsim {
namespace {

// First coordinate and number of coordinates of the line or segment through a device.
std::pair<std::int64_t, std::int64_t> line(const AxisFactor& factor, std::int64_t device, const Machine& machine)
{
  const std::int64_t extent = factor.length * factor.stride;
  return {machine.lattice.coordinate(device, factor.axis) / extent * extent, extent};
}

bool relays(const AxisFactor& factor, const Machine& machine)
{
  return machine.lattice.axes[factor.axis].kind == AxisKind::ici;
}

// Colours made dense, in order of first appearance, so that they do not depend on anything else.
template <class Key> std::vector<int> numbered(const std::vector<Key>& keys, int& count)
{
  std::map<Key, int> number;
  std::vector<int> colours;
  colours.reserve(keys.size());
  for (const Key& key : keys)
    colours.push_back(number.try_emplace(key, static_cast<int>(number.size())).first->second);
  count = static_cast<int>(number.size());
  return colours;
}

DeviceClasses to_device_classes(std::vector<int> colours, int count)
{
  DeviceClasses partition{std::move(colours), std::vector<DeviceClass>(static_cast<std::size_t>(count), {-1, 0})};
  for (std::size_t device = 0; device < partition.class_of.size(); ++device) {
    DeviceClass& own = partition.classes[static_cast<std::size_t>(partition.class_of[device])];
    if (own.devices++ == 0)
      own.representative = static_cast<std::int64_t>(device);
  }
  return partition;
}

} // namespace

std::int64_t neighbour(const AxisFactor& factor, std::int64_t device, int direction, const Machine& machine)
{
  const auto [first, extent] = line(factor, device, machine);
  const std::int64_t step    = relays(factor, machine) ? 1 : factor.stride;
  std::int64_t to            = machine.lattice.coordinate(device, factor.axis) - first + direction * step;
  if (factor.closed)
    to = (to + extent) % extent;
  return to < 0 || to >= extent ? -1 : machine.lattice.moved(device, factor.axis, first + to);
}

std::int64_t neighbour(const AxisPlacement& placement, std::int64_t device, int direction, const Machine& machine)
{
  for (const AxisFactor& factor : placement) {
    const std::int64_t at   = position(factor, device, machine.lattice);
    const std::int64_t to   = (at + direction + factor.length) % factor.length;
    const std::int64_t from = machine.lattice.coordinate(device, factor.axis);
    device                  = machine.lattice.moved(device, factor.axis, from + (to - at) * factor.stride);
    if (to == at + direction)
      break; // no carry to the next factor
  }
  return device;
}

std::vector<std::int64_t> members(const Span& span, std::int64_t device, const Machine& machine)
{
  std::vector<std::int64_t> all{device};
  if (span.host) { // the block of the lattice that it lies in, as far as there is one
    for (std::size_t axis = 0; axis < machine.lattice.axes.size(); ++axis) {
      const std::int64_t block = machine.host.block[axis];
      const std::int64_t first = machine.lattice.coordinate(device, axis) / block * block;
      const std::int64_t end   = std::min(first + block, machine.lattice.axes[axis].size);
      std::vector<std::int64_t> more;
      for (const std::int64_t from : all)
        for (std::int64_t at = first; at < end; ++at)
          more.push_back(machine.lattice.moved(from, axis, at));
      all = std::move(more);
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  for (const AxisFactor& factor : span.factors) {
    std::vector<std::int64_t> more;
    for (const std::int64_t from : all) {
      const auto [first, extent] = line(factor, from, machine);
      const std::int64_t step    = relays(factor, machine) ? 1 : factor.stride;
      const std::int64_t offset =
          relays(factor, machine) ? 0 : (machine.lattice.coordinate(from, factor.axis) - first) % factor.stride;
      for (std::int64_t i = offset; i < extent; i += step)
        more.push_back(machine.lattice.moved(from, factor.axis, first + i));
    }
    all = std::move(more);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Span span_of(AxisMask axes, const Placement& placement)
{
  Span span;
  for (std::size_t i = 0; i < placement.size(); ++i)
    if (axes >> i & 1U)
      span.factors.insert(span.factors.end(), placement[i].begin(), placement[i].end());
  return span;
}

DeviceClasses fold(const Machine& machine, const Placement& placement, std::optional<std::size_t> pipeline)
{
  const auto devices = static_cast<std::size_t>(machine.devices());
  std::vector<std::vector<std::int64_t>> first(devices);
  std::vector<Span> spans;
  const auto tell_apart = [&](const auto& place) {
    for (std::size_t device = 0; device < devices; ++device)
      first[device].push_back(position(place, static_cast<std::int64_t>(device), machine.lattice));
  };
  bool dcn = false;
  for (const AxisPlacement& axis : placement)
    for (const AxisFactor& factor : axis) {
      spans.push_back({{factor}, false});
      dcn = dcn || machine.lattice.axes[factor.axis].kind == AxisKind::dcn;
      if (!factor.closed)
        tell_apart(factor);
    }
  if (dcn && machine.devices_per_host() > 1)
    spans.push_back({{}, true});
  if (pipeline)
    tell_apart(placement[*pipeline]);
  int count                = 0;
  std::vector<int> colours = numbered(first, count);
  for (int before = 0; count > 1 && before != count;) { // one colour cannot be refined
    before = count;
    std::vector<std::vector<int>> keys(devices);
    for (std::size_t device = 0; device < devices; ++device) {
      keys[device].push_back(colours[device]);
      for (const Span& span : spans) {
        std::vector<int> found;
        for (const std::int64_t member : members(span, static_cast<std::int64_t>(device), machine))
          found.push_back(colours[static_cast<std::size_t>(member)]);
        std::sort(found.begin(), found.end());
        keys[device].insert(keys[device].end(), found.begin(), found.end());
      }
    }
    colours = numbered(keys, count);
  }
  return to_device_classes(std::move(colours), count);
}

DeviceClasses one_class_each(const Machine& machine)
{
  std::vector<int> colours(static_cast<std::size_t>(machine.devices()));
  std::iota(colours.begin(), colours.end(), 0);
  return to_device_classes(std::move(colours), static_cast<int>(machine.devices()));
}

Groups groups(const Span& span, const DeviceClasses& partition, const Machine& machine)
{
  Groups result;
  std::map<std::vector<int>, int> known;
  for (const DeviceClass& own : partition.classes) {
    std::vector<int> found;
    for (const std::int64_t member : members(span, own.representative, machine))
      found.push_back(partition.class_of[static_cast<std::size_t>(member)]);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    const auto [at, fresh] = known.try_emplace(std::move(found), static_cast<int>(known.size()));
    if (fresh)
      result.classes.push_back(at->first);
    result.group_of.push_back(at->second);
  }
  return result;
}

} // namespace podsim
