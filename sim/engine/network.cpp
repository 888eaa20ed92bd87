#include "sim/engine/network.hpp"

#include <algorithm>

namespace podsim {

Network::Network(SimgridEngine& engine, const Machine& machine, const Placement& placement,
                 const DeviceClasses& partition)
    : engine_(engine), machine_(machine), partition_(partition)
{
  for (const AxisPlacement& axis : placement) {
    for (const TorusFactor& factor : axis.factors) {
      lines_.push_back(make_line(factor));
      if (!ports_.contains(factor.axis))
        ports_[factor.axis] = make_ports();
    }
    if (axis.on_dcn)
      dcn_ = make_dcn();
  }
}

Network::Ports Network::make_ports()
{
  Ports ports;
  for (std::vector<Port>& towards : ports)
    for (std::size_t c = 0; c < partition_.classes.size(); ++c)
      towards.push_back(engine_.add_port({engine_.add_link(1, to_ticks(machine_.ici.hop_latency))}, {}));
  return ports;
}

Network::Line Network::make_line(const TorusFactor& factor) const
{
  Line line{factor, groups({{factor}, false, false}, partition_, machine_), {}, {}};
  for (auto& towards : line.receivers)
    towards.resize(partition_.classes.size());
  for (std::size_t c = 0; c < partition_.classes.size(); ++c) {
    const std::int64_t device = partition_.classes[c].representative;
    line.position.push_back(podsim::position(factor, device, machine_));
    for (std::size_t direction = 0; direction < 2; ++direction)
      if (const std::int64_t from = neighbour(factor, device, direction == 0 ? -1 : 1, machine_); from >= 0) {
        const int sender = partition_.class_of[static_cast<std::size_t>(from)];
        line.receivers[direction][static_cast<std::size_t>(sender)].push_back(static_cast<int>(c));
      }
  }
  return line;
}

// A chip reaches its host over PCIe and shares the host's NIC with the host's other chips. Hosts whose chips are of
// the same classes are one.
Network::Dcn Network::make_dcn()
{
  Dcn dcn;
  dcn.rings           = groups({{}, true, false}, partition_, machine_);
  const Span own_host = {{}, false, true};
  const Groups hosts  = groups(own_host, partition_, machine_);
  std::vector<std::array<Link, 2>> nics; // out, in
  for (std::size_t host = 0; host < hosts.classes.size(); ++host)
    nics.push_back({engine_.add_link(1, to_ticks(machine_.dcn_latency)), engine_.add_link(1, 0)});
  const double pcie = machine_.host.pcie_bandwidth / machine_.host.nic_bandwidth;
  dcn.receivers.resize(partition_.classes.size());
  for (std::size_t c = 0; c < partition_.classes.size(); ++c) {
    const std::int64_t device = partition_.classes[c].representative;
    std::int64_t copies       = 0;
    for (const std::int64_t other : members(own_host, device, machine_))
      copies += partition_.class_of[static_cast<std::size_t>(other)] == static_cast<int>(c) ? 1 : 0;
    const auto& nic    = nics[static_cast<std::size_t>(hosts.group_of[c])];
    const double buses = pcie * static_cast<double>(copies); // each chip has its own
    dcn.copies.push_back(copies);
    dcn.ports.push_back(engine_.add_port({engine_.add_link(buses, 0), nic[0]}, {nic[1], engine_.add_link(buses, 0)}));
    const std::int64_t pod = machine_.torus.chips();
    dcn.to.push_back(partition_.class_of[static_cast<std::size_t>((device + pod) % machine_.devices())]);
    const std::int64_t from = (device + machine_.devices() - pod) % machine_.devices();
    dcn.receivers[static_cast<std::size_t>(partition_.class_of[static_cast<std::size_t>(from)])].push_back(
        static_cast<int>(c));
  }
  return dcn;
}

const Network::Line& Network::line(const RingPhase& phase) const
{
  return *std::find_if(lines_.begin(), lines_.end(), [&](const Line& one) { return one.factor == phase.factor; });
}

void Network::send(const RingPhase& phase, int device_class, int direction, Ticks size, Token token)
{
  const auto c = static_cast<std::size_t>(device_class);
  if (!phase.dcn) {
    engine_.send(ports_.at(phase.factor.axis)[static_cast<std::size_t>(direction)][c], size, token);
    return;
  }
  for (std::int64_t copy = 0; copy < dcn_.copies[c]; ++copy)
    engine_.send(dcn_.ports[c], dcn_.ports[static_cast<std::size_t>(dcn_.to[c])], size, token);
}

std::int64_t Network::transfers(const RingPhase& phase, int device_class) const
{
  return phase.dcn ? dcn_.copies[static_cast<std::size_t>(device_class)] : 1;
}

const std::vector<int>& Network::receivers(const RingPhase& phase, int device_class, int direction) const
{
  const auto c = static_cast<std::size_t>(device_class);
  return phase.dcn ? dcn_.receivers[c] : line(phase).receivers[static_cast<std::size_t>(direction)][c];
}

std::int64_t Network::position(const RingPhase& phase, int device_class) const
{
  return phase.dcn ? 0 : line(phase).position[static_cast<std::size_t>(device_class)];
}

const Groups& Network::rings(const RingPhase& phase) const
{
  return phase.dcn ? dcn_.rings : line(phase).rings;
}

} // namespace podsim
