#include "sim/engine/equivalence.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace podsim {
namespace {

// First coordinate and number of coordinates of the line or segment through a device.
std::pair<std::int64_t, std::int64_t> line(const TorusFactor& factor, std::int64_t device, const Machine& machine)
{
  const std::int64_t extent = factor.length * factor.stride;
  const std::int64_t at     = machine.torus.coordinate(machine.chip_of(device), factor.axis);
  return {at / extent * extent, extent};
}

std::int64_t device_at(std::int64_t device, std::size_t axis, std::int64_t coordinate, const Machine& machine)
{
  return machine.pod_of(device) * machine.torus.chips() +
         machine.torus.moved(machine.chip_of(device), axis, coordinate);
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

std::int64_t position(const TorusFactor& factor, std::int64_t device, const Machine& machine)
{
  return (machine.torus.coordinate(machine.chip_of(device), factor.axis) / factor.stride) % factor.length;
}

std::int64_t neighbour(const TorusFactor& factor, std::int64_t device, int direction, const Machine& machine)
{
  const auto [first, extent] = line(factor, device, machine);
  std::int64_t to            = machine.torus.coordinate(machine.chip_of(device), factor.axis) - first + direction;
  if (factor.closed)
    to = (to + extent) % extent;
  return to < 0 || to >= extent ? -1 : device_at(device, factor.axis, first + to, machine);
}

std::vector<std::int64_t> members(const Span& span, std::int64_t device, const Machine& machine)
{
  std::vector<std::int64_t> all{device};
  if (span.host) {
    all.clear();
    const std::int64_t pod = machine.pod_of(device) * machine.torus.chips();
    for (std::int64_t chip = 0; chip < machine.torus.chips(); ++chip)
      if (machine.host_of(pod + chip) == machine.host_of(device))
        all.push_back(pod + chip);
    return all;
  }
  for (const TorusFactor& factor : span.factors) {
    std::vector<std::int64_t> more;
    for (const std::int64_t from : all) {
      const auto [first, extent] = line(factor, from, machine);
      for (std::int64_t i = 0; i < extent; ++i)
        more.push_back(device_at(from, factor.axis, first + i, machine));
    }
    all = std::move(more);
  }
  if (span.pods) {
    std::vector<std::int64_t> more;
    for (const std::int64_t from : all)
      for (std::int64_t pod = 0; pod < machine.pods; ++pod)
        more.push_back(pod * machine.torus.chips() + machine.chip_of(from));
    all = std::move(more);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Span span_of(AxisMask axes, const Placement& placement)
{
  Span span;
  for (std::size_t i = 0; i < placement.size(); ++i) {
    if (!(axes >> i & 1U))
      continue;
    span.pods = span.pods || placement[i].on_dcn;
    span.factors.insert(span.factors.end(), placement[i].factors.begin(), placement[i].factors.end());
  }
  return span;
}

DeviceClasses fold(const Machine& machine, const Placement& placement)
{
  const auto devices = static_cast<std::size_t>(machine.devices());
  std::vector<std::vector<std::int64_t>> first(devices);
  std::vector<Span> spans;
  for (const AxisPlacement& axis : placement) {
    if (axis.on_dcn) {
      spans.push_back({{}, true, false});
      spans.push_back({{}, false, true});
    }
    for (const TorusFactor& factor : axis.factors) {
      spans.push_back({{factor}, false, false});
      if (!factor.closed)
        for (std::size_t device = 0; device < devices; ++device)
          first[device].push_back(position(factor, static_cast<std::int64_t>(device), machine));
    }
  }
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
