#include "sim/collectives/all_to_all.hpp"

#include "sim/collectives/axis_load.hpp"

#include <algorithm>

namespace podsim {
namespace {

std::size_t first_torus_axis(const Machine& machine) // among the lattice's
{
  std::size_t first = 0;
  while (machine.lattice.axes[first].kind != AxisKind::ici)
    ++first;
  return first;
}

// The routes over parts of the torus.
AllToAllLoad torus_load(const std::vector<AxisFactor>& group, const RoutedLattice& torus, const Machine& machine)
{
  const std::size_t first = first_torus_axis(machine);
  LatticeGroup parts;
  for (const AxisFactor& factor : group)
    parts.push_back({factor.axis - first, factor.length, factor.stride});
  return all_to_all_load(torus, parts);
}

// What goes over each axis of the torus of `local` bytes, one part for each of `members`; and the hops of the longest
// way.
std::pair<PlanPart, std::int64_t> over_torus(const std::vector<AxisFactor>& torus, Bytes local, double members,
                                             const Machine& machine)
{
  PlanPart phases;
  std::int64_t hops = 0;
  std::vector<std::vector<AxisFactor>> groups; // that are routed as one: a twisted torus, or each axis by itself
  for (const AxisFactor& factor : torus)
    if (machine.lattice.twisted)
      groups.assign(1, torus);
    else
      groups.push_back({factor});
  const auto on_link = [&](double blocks) { return to_ticks(local * (blocks / members) / machine.ici.effective()); };
  for (const std::vector<AxisFactor>& group : groups) {
    const AllToAllLoad load = torus_load(group, machine.torus(), machine);
    double others           = members; // that each of the group stands for: all blocks to them pass its links
    for (const AxisFactor& factor : group)
      others /= static_cast<double>(factor.length);
    hops += load.longest_hops;
    for (const AxisFactor& factor : group) {
      AxisLoad::Amount amount{.step     = on_link(load.busiest_link * others),
                              .cut_time = on_link(load.cut_bound * others)};
      amount.sent = local * (1 - 1 / static_cast<double>(factor.length));
      if (!machine.overrides.links.empty() && factor.closed &&
          !machine.lattice.twisted) { // a twist keeps all its links
        RoutedLattice open                                   = machine.torus();
        open.closed[factor.axis - first_torus_axis(machine)] = false;
        amount.open_step = on_link(torus_load(group, open, machine).busiest_link * others);
      }
      phases.push_back(std::make_shared<AxisLoad>(factor, machine, amount));
    }
  }
  return {std::move(phases), hops};
}

PhasePtr over_switch(const AxisFactor& factor, Bytes local, const Machine& machine)
{
  const auto n       = static_cast<double>(factor.length);
  const Bytes leaves = local * ((n - 1) / n);
  const bool dcn     = machine.lattice.axes[factor.axis].kind == AxisKind::dcn;
  const Ticks step   = to_ticks(leaves / (dcn ? machine.host.nic_bandwidth : machine.wire(factor.axis).effective()));
  return std::make_shared<AxisLoad>(factor, machine, AxisLoad::Amount{.step = step, .sent = leaves});
}

} // namespace

Plan all_to_all(const std::vector<AxisFactor>& group, Bytes local, const Machine& machine)
{
  double members = 1;
  for (const AxisFactor& factor : group)
    members *= static_cast<double>(factor.length);
  std::vector<AxisFactor> torus;
  PlanPart phases;
  Ticks latencies = 0;
  for (const AxisFactor& factor : group)
    if (machine.lattice.axes[factor.axis].kind == AxisKind::ici) {
      torus.push_back(factor);
    } else {
      phases.push_back(over_switch(factor, local, machine));
      latencies += phases.back()->latency();
    }
  if (!torus.empty()) {
    const auto [on_torus, hops] = over_torus(torus, local, members, machine);
    phases.insert(phases.end(), on_torus.begin(), on_torus.end());
    latencies += hops * to_ticks(machine.ici.latency);
  }
  Plan result{.parts = {}, .exchange = true};
  Ticks longest = 0;
  for (const PhasePtr& phase : phases) {
    result.parts.push_back({phase});
    longest = std::max(longest, phase->latency());
  }
  result.rest = std::max<Ticks>(latencies - longest, 0);
  return result;
}

} // namespace podsim
