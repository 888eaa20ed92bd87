#include "sim/collectives/phase.hpp"

namespace podsim {

Phase::Phase(const AxisFactor& factor, const Machine& machine)
    : factor_(factor), link_(machine.lattice.axes[factor.axis].kind)
{
  if (link_ == AxisKind::dcn) {
    latency_ = to_ticks(machine.dcn_latency);
    sharers_ = machine.devices_per_host();
    bus_     = machine.host.nic_bandwidth / machine.host.pcie_bandwidth;
  } else {
    latency_ = to_ticks(machine.wire(factor.axis).latency);
  }
}

} // namespace podsim
