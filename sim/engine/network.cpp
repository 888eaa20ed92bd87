#include "sim/engine/network.hpp"

#include <algorithm>

namespace podsim {

Network::Network(Clock& clock, const Machine& machine, const Placement& placement, const DeviceClasses& partition)
    : clock_(clock), machine_(machine), partition_(partition)
{
  for (const AxisPlacement& axis : placement)
    for (const AxisFactor& factor : axis)
      add_line(factor);
}

void Network::add_line(const AxisFactor& factor)
{
  const bool dcn = factor.axis == machine_.dcn_axis();
  if (dcn && nics_.in.empty())
    nics_ = make_nics();
  if (!dcn && !ports_.contains(factor.axis))
    ports_[factor.axis] = make_ports(factor.axis);

  const std::size_t classes = partition_.classes.size();
  Line line{factor, groups({{factor}}, partition_, machine_), {}, {}, {}, {}, {}, {}};
  if (dcn)
    line.out = make_dcn_ports();
  for (std::size_t direction = 0; direction < 2; ++direction) {
    line.receivers[direction].resize(classes);
    line.to[direction].assign(classes, -1);
  }
  for (std::size_t c = 0; c < classes; ++c) {
    const std::int64_t device      = partition_.classes[c].representative;
    const RingCondition& condition = line.condition.emplace_back(ring_condition(factor, device, machine_));
    const std::int64_t at          = podsim::position(factor, device, machine_.lattice);
    line.position.push_back((at - condition.cut_before.value_or(0) + factor.length) % factor.length);
    for (std::size_t direction = 0; direction < 2; ++direction) {
      const int sign = direction == 0 ? 1 : -1;
      line.speed[direction].push_back(
          dcn ? machine_.overrides.host(machine_.host_of(device))
              : machine_.overrides.link({device, factor.axis, static_cast<int>(direction)}));
      if (const std::int64_t from = neighbour(factor, device, -sign, machine_); from >= 0) {
        const int sender = partition_.of(from);
        line.receivers[direction][static_cast<std::size_t>(sender)].push_back(static_cast<int>(c));
      }
      if (const std::int64_t to = neighbour(factor, device, sign, machine_); to >= 0)
        line.to[direction][c] = partition_.of(to);
    }
  }
  lines_.push_back(std::move(line));
}

Network::Ports Network::make_ports(std::size_t axis)
{
  const Ticks latency = to_ticks(machine_.wire(axis).latency);
  Ports ports;
  for (std::vector<Port>& towards : ports)
    for (std::size_t c = 0; c < partition_.classes.size(); ++c)
      towards.push_back(clock_.add_port({clock_.add_link(1, latency)}, {}));
  return ports;
}

// A device reaches its host over PCIe and shares the host's NIC with the host's other devices. Hosts whose devices are
// of the same classes are one.
Network::Nics Network::make_nics()
{
  Nics nics;
  const Span own_host{.factors = {}, .host = true};
  const Groups hosts = groups(own_host, partition_, machine_);
  std::vector<std::array<Link, 2>> links; // out, in
  for (const std::vector<int>& classes : hosts.classes) {
    const std::int64_t device = partition_.classes[static_cast<std::size_t>(classes.front())].representative;
    const double speed        = machine_.overrides.host(machine_.host_of(device));
    links.push_back({clock_.add_link(speed, to_ticks(machine_.dcn_latency)), clock_.add_link(speed, 0)});
  }
  const double pcie = machine_.host.pcie_bandwidth / machine_.host.nic_bandwidth;
  for (std::size_t c = 0; c < partition_.classes.size(); ++c) {
    std::int64_t copies = 0;
    for (const std::int64_t other : members(own_host, partition_.classes[c].representative, machine_))
      copies += partition_.of(other) == static_cast<int>(c) ? 1 : 0;
    const auto& nic    = links[static_cast<std::size_t>(hosts.group_of[c])];
    const double buses = pcie * static_cast<double>(copies); // each device has its own
    nics.copies.push_back(copies);
    nics.host.push_back(hosts.group_of[c]);
    nics.out.push_back({clock_.add_link(buses, 0), nic[0]});
    nics.in.push_back(clock_.add_port({}, {nic[1], clock_.add_link(buses, 0)}));
  }
  return nics;
}

// SimGrid 3.32 shares links anew only round the first link of what begins, unless another of that link began at the
// same instant: then what the second one meets elsewhere keeps its share, and links carry more than they can
// (findings/simgrid-starts-at-one-instant.sh). Messages with one destination meet the same; so each line and direction
// begins on a link of its own, wide enough to never matter.
Network::Ports Network::make_dcn_ports()
{
  Ports ports;
  for (std::vector<Port>& towards : ports)
    for (const std::vector<Link>& shared : nics_.out) {
      std::vector<Link> all{clock_.add_link(0x1p20, 0)};
      all.insert(all.end(), shared.begin(), shared.end());
      towards.push_back(clock_.add_port(all, {}));
    }
  return ports;
}

int Network::line_of(const AxisFactor& factor) const
{
  const auto own = std::find_if(lines_.begin(), lines_.end(), [&](const Line& one) { return one.factor == factor; });
  return static_cast<int>(own - lines_.begin());
}

void Network::send(int index, int device_class, int direction, Ticks size, Token token)
{
  const Line& own = line(index);
  const auto c    = static_cast<std::size_t>(device_class);
  const auto d    = static_cast<std::size_t>(direction);
  if (own.factor.axis != machine_.dcn_axis()) {
    clock_.send(ports_.at(own.factor.axis)[d][c], at_link_speed(size, own.speed[d][c]), token);
    return;
  }
  const auto to = static_cast<std::size_t>(own.to[d][c]);
  for (std::int64_t copy = 0; copy < nics_.copies[c]; ++copy)
    clock_.send(own.out[d][c], nics_.in[to], size, token);
}

std::int64_t Network::transfers(int index, int device_class) const
{
  return line(index).factor.axis == machine_.dcn_axis() ? nics_.copies[static_cast<std::size_t>(device_class)] : 1;
}

std::vector<int> Network::shared_links(int index, int device_class, int direction) const
{
  const Line& own = line(index);
  if (own.factor.axis != machine_.dcn_axis())
    return {2 * device_class + direction};
  const int to = own.to[static_cast<std::size_t>(direction)][static_cast<std::size_t>(device_class)];
  return {2 * nics_.host[static_cast<std::size_t>(device_class)], 2 * nics_.host[static_cast<std::size_t>(to)] + 1};
}

const std::vector<int>& Network::receivers(int index, int device_class, int direction) const
{
  return line(index).receivers[static_cast<std::size_t>(direction)][static_cast<std::size_t>(device_class)];
}

RingPlace Network::place(const Phase& phase, int index, int device_class) const
{
  const auto c = static_cast<std::size_t>(device_class);
  return phase.place(line(index).position[c], line(index).condition[c].cut_before.has_value());
}

const Groups& Network::rings(int index) const
{
  return line(index).rings;
}

LineState Network::slowest(int index, const std::vector<int>& classes) const
{
  LineState slowest;
  for (const int one : classes) {
    const RingCondition& condition = line(index).condition[static_cast<std::size_t>(one)];
    slowest.speed                  = std::min(slowest.speed, condition.slowest);
    slowest.cut                    = slowest.cut || condition.cut_before.has_value();
  }
  return slowest;
}

double Network::speed(int index, int device_class, int direction) const
{
  return line(index).speed[static_cast<std::size_t>(direction)][static_cast<std::size_t>(device_class)];
}

} // namespace podsim
