#include "sim/engine/equivalence.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

namespace podsim {
namespace {

// The device by which a group is known: of its lowest coordinates.
std::int64_t first_member(const Span& span, std::int64_t device, const Machine& machine)
{
  if (span.host) {
    for (std::size_t axis = 0; axis < machine.lattice.axes.size(); ++axis) {
      const std::int64_t block = machine.host.block[axis];
      device = machine.lattice.moved(device, axis, machine.lattice.coordinate(device, axis) / block * block);
    }
    return device;
  }
  return first_member(span.factors, device, machine.lattice);
}

// The speeds of a line's links as a device sees them: from itself on, each link up and down; on an open line, where
// its ends tell chips apart anyway, from its beginning.
std::vector<double> link_speeds(const AxisFactor& factor, std::int64_t device, const Machine& machine)
{
  std::vector<double> speeds;
  const auto [first, extent] = line(factor, device, machine.lattice);
  const std::int64_t from    = factor.closed ? machine.lattice.coordinate(device, factor.axis) - first : 0;
  for (std::int64_t i = 0; i < extent; ++i) {
    const std::int64_t at = machine.lattice.moved(device, factor.axis, first + (from + i) % extent);
    for (const int direction : {0, 1})
      speeds.push_back(machine.overrides.link({at, factor.axis, direction}));
  }
  return speeds;
}

// Devices coloured; equal colours may be one class. Colours are dense, in order of first appearance, so that they do
// not depend on anything else.
class Colouring {
public:
  explicit Colouring(std::int64_t devices) : of_(static_cast<std::size_t>(devices), 0) {}

  int count() const { return count_; }
  const std::vector<int>& of() const { return of_; }
  std::vector<int> take() && { return std::move(of_); }

  // Tells devices of one colour apart whose keys differ.
  void split(const std::vector<std::int64_t>& keys)
  {
    std::unordered_map<std::int64_t, int> number;
    const std::int64_t width = *std::max_element(keys.begin(), keys.end()) + 1;
    std::int64_t before      = -1;
    int colour               = 0;
    for (std::size_t device = 0; device < of_.size(); ++device) {
      const std::int64_t key = of_[device] * width + keys[device];
      if (key != before) // mostly neighbours are alike
        colour = number.try_emplace(key, static_cast<int>(number.size())).first->second;
      before      = key;
      of_[device] = colour;
    }
    count_ = static_cast<int>(number.size());
  }

private:
  std::vector<int> of_;
  int count_ = 1;
};

// Keys for split(): 0 where nothing is said, else a number for each different view.
template <class View> class Views {
public:
  explicit Views(std::int64_t devices) : keys_(static_cast<std::size_t>(devices), 0) {}
  void set(std::int64_t device, const View& view)
  {
    const auto number                       = static_cast<std::int64_t>(number_.size()) + 1;
    keys_[static_cast<std::size_t>(device)] = number_.try_emplace(view, number).first->second;
  }
  const std::vector<std::int64_t>& keys() const { return keys_; }

private:
  std::vector<std::int64_t> keys_;
  std::map<View, std::int64_t> number_;
};

// What a device is and has of its own, and what it meets on its way round: on a line with a slow link chips are
// told apart by their distance from it, since what comes over that link is late for one after the other.
void tell_faults_apart(const Machine& machine, const Placement& placement, Colouring& colours)
{
  const std::int64_t devices = machine.devices();
  Views<Speed> speeds(devices);
  for (const auto& [device, speed] : machine.overrides.devices)
    speeds.set(device, speed);
  colours.split(speeds.keys());

  for (const AxisPlacement& axis : placement)
    for (const AxisFactor& factor : axis) {
      if (factor.length == 1)
        continue;
      Views<std::vector<double>> views(devices);
      for (const auto& [link, speed] : machine.overrides.links)
        if (link.axis == factor.axis)
          for (const std::int64_t device : members({.factors = {factor}}, link.device, machine))
            views.set(device, link_speeds(factor, device, machine));
      colours.split(views.keys());
    }

  Views<std::vector<double>> nics(devices);
  const std::size_t dcn = machine.dcn_axis();
  for (const auto& [host, speed] : machine.overrides.hosts)
    for (const std::int64_t device : machine.devices_of_host(host)) {
      const std::int64_t pods = machine.pods();
      for (std::int64_t pod = 0; pod < pods; ++pod) {
        const std::int64_t own = machine.lattice.moved(device, dcn, pod);
        std::vector<double> view;
        for (std::int64_t other = pod; other < pod + pods; ++other)
          view.push_back(machine.overrides.host(machine.host_of(machine.lattice.moved(own, dcn, other % pods))));
        nics.set(own, view);
      }
    }
  colours.split(nics.keys());
}

// Whether each host has as many devices: not where blocks do not divide the lattice, whose last hosts are smaller.
bool hosts_are_even(const Machine& machine)
{
  for (std::size_t axis = 0; axis < machine.lattice.axes.size(); ++axis)
    if (const std::int64_t size = machine.lattice.axes[axis].size; size % std::min(machine.host.block[axis], size) != 0)
      return false;
  return true;
}

bool is_over_dcn(const Placement& placement, const Machine& machine)
{
  return std::any_of(placement.begin(), placement.end(), [&](const AxisPlacement& axis) {
    return std::any_of(axis.begin(), axis.end(), [&](const AxisFactor& factor) {
      return factor.length > 1 && factor.axis == machine.dcn_axis();
    });
  });
}

// By how many share their NIC.
void tell_hosts_apart(const Machine& machine, Colouring& colours)
{
  std::vector<std::int64_t> sharers;
  for (std::int64_t device = 0; device < machine.devices(); ++device)
    sharers.push_back(static_cast<std::int64_t>(machine.devices_of_host(machine.host_of(device)).size()));
  colours.split(sharers);
}

// The group of each device in a span, named by its first device.
std::vector<std::int32_t> groups_in(const Span& span, const Machine& machine)
{
  std::vector<std::int32_t> group(static_cast<std::size_t>(machine.devices()));
  for (std::size_t device = 0; device < group.size(); ++device)
    group[device] = static_cast<std::int32_t>(first_member(span, static_cast<std::int64_t>(device), machine));
  return group;
}

// Splits devices by the colours in the groups that they are in. A group of one colour tells nothing apart: hosts of one
// colour are of one size.
void refine(const Span& span, const std::vector<std::int32_t>& group, const Machine& machine, Colouring& colours)
{
  const std::vector<int>& of = colours.of();
  std::vector<int> first(of.size(), -1); // colour of each group
  std::map<std::int64_t, std::vector<int>> mixed;
  for (std::size_t device = 0; device < of.size(); ++device) {
    int& colour = first[static_cast<std::size_t>(group[device])];
    if (colour < 0)
      colour = of[device];
    else if (colour != of[device])
      mixed.try_emplace(group[device]);
  }
  if (mixed.empty())
    return;
  for (auto& [one, found] : mixed) {
    for (const std::int64_t member : members(span, one, machine))
      found.push_back(of[static_cast<std::size_t>(member)]);
    if (span.ordered)
      continue;
    std::sort(found.begin(), found.end());
    if (!span.host) // how many there are of each counts only where they share a NIC
      found.erase(std::unique(found.begin(), found.end()), found.end());
  }
  Views<std::vector<int>> views(static_cast<std::int64_t>(of.size()));
  for (auto& [one, found] : mixed) {
    const std::vector<std::int64_t> all = members(span, one, machine);
    for (const std::int64_t member : all) {
      views.set(member, found);
      if (span.ordered) // as the next one round sees it
        std::rotate(found.begin(), found.begin() + 1, found.end());
    }
  }
  colours.split(views.keys());
}

DeviceClasses to_device_classes(std::vector<int> colours, int count)
{
  DeviceClasses partition{std::vector<DeviceClass>(static_cast<std::size_t>(count), {-1, 0}), std::move(colours)};
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
  if (machine.overrides.link({device, factor.axis, direction > 0 ? 0 : 1}) == 0)
    return -1;
  return next_on_line(factor, device, direction, machine.lattice);
}

RingCondition ring_condition(const AxisFactor& factor, std::int64_t device, const Machine& machine)
{
  RingCondition condition;
  if (machine.overrides.empty())
    return condition;
  const auto include = [&](double speed) { condition.slowest = std::min(condition.slowest, speed); };
  if (machine.lattice.axes[factor.axis].kind == AxisKind::dcn) {
    for (const std::int64_t member : members({.factors = {factor}}, device, machine))
      include(machine.overrides.host(machine.host_of(member)));
    return condition;
  }
  const auto [first, extent] = line(factor, device, machine.lattice);
  for (std::int64_t i = 0; i < extent; ++i) {
    const std::int64_t at = machine.lattice.moved(device, factor.axis, first + i);
    const double up       = machine.overrides.link({at, factor.axis, 0});
    if (up > 0)
      include(up);
    else
      condition.cut_before = (i + 1) % extent;
    if (const double down = machine.overrides.link({at, factor.axis, 1}); down > 0)
      include(down);
  }
  return condition;
}

std::vector<std::int64_t> members(const Span& span, std::int64_t device, const Machine& machine)
{
  return span.host ? machine.devices_of_host(machine.host_of(device)) : members(span.factors, device, machine.lattice);
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
  const bool dcn          = is_over_dcn(placement, machine);
  const bool uneven_hosts = dcn && !hosts_are_even(machine);
  if (!pipeline && machine.overrides.empty() && is_closed(placement) && !uneven_hosts)
    return {{{0, machine.devices()}}}; // however many they are
  Colouring colours(machine.devices());
  const auto tell_apart = [&](const auto& place) {
    std::vector<std::int64_t> keys;
    for (std::int64_t device = 0; device < machine.devices(); ++device)
      keys.push_back(position(place, device, machine.lattice));
    colours.split(keys);
  };
  std::vector<Span> spans;
  for (const AxisPlacement& axis : placement)
    for (const AxisFactor& factor : axis) {
      if (factor.length == 1)
        continue;
      const LatticeAxis& whole = machine.lattice.axes[factor.axis];
      const bool part_of_line  = relays(factor, machine.lattice) && factor.length * factor.stride < whole.size;
      const bool part_of_switch =
          whole.kind == AxisKind::dcn || (whole.kind == AxisKind::local && factor.length < whole.size);
      const bool more_than_pairs = factor.length > 2; // of which each hears the other
      spans.push_back({{factor}, false, part_of_line || (part_of_switch && more_than_pairs)});
      if (!factor.closed)
        tell_apart(factor);
    }
  if (dcn && machine.devices_per_host() > 1)
    spans.push_back({{}, true, false});
  if (uneven_hosts)
    tell_hosts_apart(machine, colours);
  if (pipeline)
    tell_apart(placement[*pipeline]);
  if (!machine.overrides.empty())
    tell_faults_apart(machine, placement, colours);
  std::vector<std::vector<std::int32_t>> groups;
  for (int before = 0; colours.count() > 1 && before != colours.count();) { // one colour cannot be refined
    before = colours.count();
    for (std::size_t i = 0; i < spans.size(); ++i) {
      if (groups.size() == i)
        groups.push_back(groups_in(spans[i], machine));
      refine(spans[i], groups[i], machine, colours);
    }
  }
  const int count = colours.count();
  return to_device_classes(std::move(colours).take(), count);
}

Overrides worst_everywhere(const Machine& machine, const Placement& placement, std::optional<std::size_t> pipeline)
{
  Machine even   = machine;
  even.overrides = {};
  for (const auto& [link, speed] : machine.overrides.links)
    if (speed == 0)
      even.overrides.links[link] = 0;
  const DeviceClasses alike = fold(even, placement, pipeline);
  std::vector<Speed> worst(alike.classes.size());
  for (const auto& [device, speed] : machine.overrides.devices) {
    Speed& own = worst[static_cast<std::size_t>(alike.of(device))];
    own        = {std::min(own.compute, speed.compute), std::min(own.hbm, speed.hbm)};
  }
  std::map<std::size_t, double> slowest; // link of an axis
  for (const auto& [link, speed] : machine.overrides.links)
    if (speed > 0)
      slowest[link.axis] = std::min(slowest.try_emplace(link.axis, 1).first->second, speed);
  double nic = 1;
  for (const auto& [host, speed] : machine.overrides.hosts)
    nic = std::min(nic, speed);
  Overrides all = even.overrides;
  for (std::int64_t device = 0; device < machine.devices(); ++device) {
    const Speed& speed = worst[static_cast<std::size_t>(alike.of(device))];
    if (speed != Speed{})
      all.devices[device] = speed;
    for (const auto& [axis, link] : slowest)
      for (const int direction : {0, 1})
        all.links.try_emplace({device, axis, direction}, link);
    if (nic < 1)
      all.hosts[machine.host_of(device)] = nic;
  }
  return all;
}

Overrides worst_only(const Machine& machine)
{
  const Overrides& overrides = machine.overrides;
  Overrides worst;
  const auto keep_least = [](const auto& from, auto& to, const auto& less) {
    const auto least = std::min_element(from.begin(), from.end(),
                                        [&](const auto& a, const auto& b) { return less(a.second, b.second); });
    if (least != from.end())
      to.insert(*least);
  };
  const auto smaller = [](double a, double b) { return a < b; };
  keep_least(overrides.devices, worst.devices, [](const Speed& a, const Speed& b) { return a.compute < b.compute; });
  if (std::any_of(overrides.devices.begin(), overrides.devices.end(),
                  [](const auto& one) { return one.second.hbm < 1; }))
    keep_least(overrides.devices, worst.devices, [](const Speed& a, const Speed& b) { return a.hbm < b.hbm; });
  keep_least(overrides.links, worst.links, smaller);
  if (!worst.links.empty() && worst.links.begin()->second == 0) { // a dead cable has two ends
    const LinkId one         = worst.links.begin()->first;
    const std::int64_t size  = machine.lattice.axes[one.axis].size;
    const std::int64_t step  = one.direction == 0 ? 1 : size - 1;
    const std::int64_t other = (machine.lattice.coordinate(one.device, one.axis) + step) % size;
    worst.links[{machine.lattice.moved(one.device, one.axis, other), one.axis, 1 - one.direction}] = 0;
  }
  keep_least(overrides.hosts, worst.hosts, smaller);
  return worst;
}

DeviceClasses one_class_each(const Machine& machine)
{
  std::vector<int> colours(static_cast<std::size_t>(machine.devices()));
  std::iota(colours.begin(), colours.end(), 0);
  return to_device_classes(std::move(colours), static_cast<int>(machine.devices()));
}

Groups groups(const Span& span, const DeviceClasses& partition, const Machine& machine)
{
  if (partition.classes.size() == 1)
    return {{0}, {{0}}};
  Groups result;
  std::map<std::vector<int>, int> known;
  for (const DeviceClass& own : partition.classes) {
    std::vector<int> found;
    for (const std::int64_t member : members(span, own.representative, machine))
      found.push_back(partition.of(member));
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
