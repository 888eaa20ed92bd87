#include "sim/engine/collective_plan.hpp"

#include <algorithm>

namespace podsim {
namespace {

// The ring of a collective along one factor, with chunks of this size.
RingPhase ring_phase(const AxisFactor& factor, CollectiveKind kind, Bytes chunk, const Machine& machine)
{
  const AxisKind link = machine.lattice.axes[factor.axis].kind;
  RingPhase phase{.kind = kind, .link = link, .factor = factor, .length = factor.length, .chunk = chunk};
  if (link == AxisKind::dcn) {
    phase.step      = to_ticks(chunk / machine.host.nic_bandwidth);
    phase.latency   = to_ticks(machine.dcn_latency);
    phase.last_step = phase.step;
    phase.sharers   = machine.devices_per_host();
    phase.bus       = machine.host.nic_bandwidth / machine.host.pcie_bandwidth;
    return phase;
  }
  const Wire& wire  = machine.wire(factor.axis);
  const bool halved = link == AxisKind::ici && factor.closed && factor.length % 2 == 0;
  phase.step        = to_ticks(chunk / wire.effective());
  phase.last_step   = halved ? to_ticks(chunk * 0.5 / wire.effective()) : phase.step;
  phase.latency     = to_ticks(wire.latency);
  return phase;
}

// A reduce-scatter of `full` over the rings in their order, or an all-gather over them in reverse order: in both the
// chunk is `full` over the sizes of this ring and of those before it.
PlanPart one_way(CollectiveKind kind, const std::vector<AxisFactor>& rings, Bytes full, const Machine& machine)
{
  PlanPart phases;
  double pieces = 1;
  for (const AxisFactor& ring : rings) {
    pieces *= static_cast<double>(ring.length);
    phases.push_back(ring_phase(ring, kind, full / pieces, machine));
  }
  if (kind == CollectiveKind::all_gather)
    std::reverse(phases.begin(), phases.end());
  return phases;
}

// An all-gather over the DCN that follows its reduce-scatter goes on with it.
void join_streams(PlanPart& phases)
{
  for (std::size_t i = 0; i + 1 < phases.size(); ++i)
    if (phases[i].streams() && phases[i].factor == phases[i + 1].factor) {
      phases[i].rounds += phases[i + 1].rounds;
      phases.erase(phases.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
}

std::size_t first_torus_axis(const Machine& machine) // among the lattice's
{
  std::size_t first = 0;
  while (machine.lattice.axes[first].kind != AxisKind::ici)
    ++first;
  return first;
}

// The routes of an exchange over parts of the torus.
AllToAllLoad torus_load(const std::vector<AxisFactor>& group, const RoutedLattice& torus, const Machine& machine)
{
  const std::size_t first = first_torus_axis(machine);
  LatticeGroup parts;
  for (const AxisFactor& factor : group)
    parts.push_back({factor.axis - first, factor.length, factor.stride});
  return all_to_all_load(torus, parts);
}

// An exchange of `local` bytes, one part for each of `members`: a phase for each axis of the torus, and the hops of the
// longest way.
std::pair<PlanPart, std::int64_t> torus_exchange(const std::vector<AxisFactor>& torus, Bytes local, double members,
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
      RingPhase phase{.kind = CollectiveKind::all_to_all, .factor = factor, .length = factor.length, .chunk = local};
      phase.step     = on_link(load.busiest_link * others);
      phase.sent     = local * (1 - 1 / static_cast<double>(factor.length));
      phase.latency  = to_ticks(machine.ici.latency);
      phase.cut_time = on_link(load.cut_bound * others);
      if (!machine.overrides.links.empty() && factor.closed &&
          !machine.lattice.twisted) { // a twist keeps all its links
        RoutedLattice open                                   = machine.torus();
        open.closed[factor.axis - first_torus_axis(machine)] = false;
        phase.open_step = on_link(torus_load(group, open, machine).busiest_link * others);
      }
      phases.push_back(phase);
    }
  }
  return {std::move(phases), hops};
}

Plan exchange_plan(const std::vector<AxisFactor>& group, Bytes local, const Machine& machine)
{
  double members = 1;
  for (const AxisFactor& factor : group)
    members *= static_cast<double>(factor.length);
  std::vector<AxisFactor> torus;
  PlanPart phases;
  Ticks latencies = 0;
  for (const AxisFactor& factor : group) {
    const AxisKind link = machine.lattice.axes[factor.axis].kind;
    if (link == AxisKind::ici) {
      torus.push_back(factor);
      continue;
    }
    const auto n       = static_cast<double>(factor.length);
    const Bytes leaves = local * ((n - 1) / n);
    RingPhase phase{
        .kind = CollectiveKind::all_to_all, .link = link, .factor = factor, .length = factor.length, .chunk = local};
    phase.sent = leaves;
    if (link == AxisKind::dcn) {
      phase.step    = to_ticks(leaves / machine.host.nic_bandwidth);
      phase.sharers = machine.devices_per_host();
      phase.bus     = machine.host.nic_bandwidth / machine.host.pcie_bandwidth;
      phase.latency = to_ticks(machine.dcn_latency);
    } else {
      phase.step    = to_ticks(leaves / machine.local.effective());
      phase.latency = to_ticks(machine.local.latency);
    }
    latencies += phase.latency;
    phases.push_back(phase);
  }
  if (!torus.empty()) {
    const auto [on_torus, hops] = torus_exchange(torus, local, members, machine);
    phases.insert(phases.end(), on_torus.begin(), on_torus.end());
    latencies += hops * to_ticks(machine.ici.latency);
  }
  Plan result{.parts = {}, .exchange = true};
  Ticks longest = 0;
  for (const RingPhase& phase : phases) {
    result.parts.push_back({phase});
    longest = std::max(longest, phase.latency);
  }
  result.rest = std::max<Ticks>(latencies - longest, 0);
  return result;
}

// Phases that overlap: what they put on each ring goes at once. Rings over parts of one switched axis are one stream of
// chunks through the same links, which get one share of them beside what others send.
Plan overlapped_plan(const PlanPart& phases)
{
  Plan result{.parts = {}, .exchange = true};
  for (const CollectiveKind kind : {CollectiveKind::reduce_scatter, CollectiveKind::all_gather}) {
    std::int64_t nodes = 1;
    for (const RingPhase& phase : phases)
      nodes *= phase.kind == kind && phase.link == AxisKind::dcn ? phase.length : 1;
    for (const RingPhase& phase : phases)
      result.rest += phase.kind == kind ? latencies(phase) * (phase.link == AxisKind::dcn ? 1 : nodes) : 0;
  }
  for (const RingPhase& phase : phases) {
    auto part = std::find_if(result.parts.begin(), result.parts.end(), [&](const PlanPart& one) {
      const AxisFactor& known = one.front().factor;
      return phase.one_way() ? known.axis == phase.factor.axis : known == phase.factor;
    });
    if (part == result.parts.end()) {
      RingPhase once = phase;
      once.kind      = CollectiveKind::all_to_all;
      once.step = once.open_step = 0;
      part                       = result.parts.insert(part, PlanPart{once});
    }
    RingPhase& once = part->front();
    const Ticks all = phase.steps() * phase.step;
    once.step += phase.one_way() || !phase.factor.closed ? all : busy(phase);
    once.open_step += all;
    once.sent += traffic(phase).sent;
  }
  // The part that takes longest, with what shares its links, shows one latency by itself.
  Ticks longest = 0, shown = 0;
  for (const PlanPart& part : result.parts) {
    Ticks all = latencies(part.front());
    for (const PlanPart& other : result.parts)
      all += other.front().factor.axis == part.front().factor.axis ? busy(other.front()) : 0;
    if (all > longest) {
      longest = all;
      shown   = latencies(part.front());
    }
  }
  result.rest = std::max<Ticks>(result.rest - shown, 0);
  return result;
}

} // namespace

Ticks busy(const RingPhase& phase)
{
  if (phase.exchanges())
    return phase.link == AxisKind::dcn ? phase.crowded(phase.step) : phase.step;
  if (phase.link == AxisKind::dcn)
    return phase.crowded(phase.steps() * phase.step);
  if (phase.one_way() || !phase.factor.closed)
    return phase.steps() * phase.step;
  return phase.factor.stride * ((phase.length / 2 - 1) * phase.step + phase.last_step);
}

Ticks latencies(const RingPhase& phase)
{
  if (phase.exchanges())
    return phase.latency;
  const bool ring = phase.link == AxisKind::ici && phase.factor.closed;
  return phase.latency * (ring ? phase.factor.stride * (phase.length / 2) : phase.length - 1);
}

Traffic traffic(const RingPhase& phase)
{
  if (phase.exchanges())
    return {phase.sent, phase.step};
  const auto chunks = static_cast<double>(phase.steps()); // both directions of a ring together; of a line on average
  if (phase.link == AxisKind::dcn)
    return {phase.chunk * chunks, phase.steps() * phase.step};
  const double relayed = phase.one_way() || !phase.factor.closed ? 1.0 : static_cast<double>(phase.factor.stride);
  return {phase.chunk * (chunks * relayed), busy(phase)};
}

Plan plan(const Collective& collective, const Machine& machine, const Placement& placement, MultiAxis multi_axis)
{
  std::vector<AxisFactor> rings;
  for (std::size_t axis = 0; axis < placement.size(); ++axis)
    if (collective.axes >> axis & 1U)
      rings.insert(rings.end(), placement[axis].begin(), placement[axis].end());
  std::erase_if(rings, [](const AxisFactor& ring) { return ring.length == 1; });
  // Between pods goes only what is left when each pod has reduced its own.
  const auto in_pod = [&](const AxisFactor& ring) { return machine.lattice.axes[ring.axis].kind != AxisKind::dcn; };
  const auto torus  = [&](const AxisFactor& ring) { return machine.lattice.axes[ring.axis].kind == AxisKind::ici; };
  std::stable_partition(rings.begin(), rings.end(), in_pod);
  if (collective.kind == CollectiveKind::all_to_all) {
    return exchange_plan(rings, collective.full, machine);
  }
  const bool split        = multi_axis == MultiAxis::concurrent && std::all_of(rings.begin(), rings.end(), torus);
  const std::size_t parts = split ? std::max<std::size_t>(rings.size(), 1) : 1;
  Plan result;
  for (std::size_t part = 0; part < parts && !rings.empty(); ++part) {
    const Bytes full = collective.full / static_cast<double>(parts);
    PlanPart phases;
    if (collective.kind != CollectiveKind::all_gather)
      phases = one_way(CollectiveKind::reduce_scatter, rings, full, machine);
    if (collective.kind != CollectiveKind::reduce_scatter) {
      const PlanPart gather = one_way(CollectiveKind::all_gather, rings, full, machine);
      phases.insert(phases.end(), gather.begin(), gather.end());
    }
    if (multi_axis == MultiAxis::pipelined && rings.size() > 1)
      return overlapped_plan(phases);
    join_streams(phases);
    result.parts.push_back(std::move(phases));
    std::rotate(rings.begin(), rings.begin() + 1, rings.end());
  }
  return result;
}

RingPlace place_on(const RingPhase& phase, std::int64_t position, bool cut)
{
  return {position, phase.factor.closed && !cut};
}

std::int64_t sends(const RingPhase& phase, const RingPlace& at, int direction)
{
  if (phase.one_way() && direction < 0)
    return 0;
  if (phase.exchanges()) {
    const std::int64_t end = direction > 0 ? phase.length - 1 : 0;
    return !phase.one_way() && !at.closed && at.position == end ? 0 : 1;
  }
  if (phase.streams())
    return 1;
  if (phase.one_way())
    return phase.length - 1;
  if (at.closed) // chips `stride` apart relay through those between them, in step with their rings
    return phase.length / 2 * phase.factor.stride;
  const std::int64_t behind = direction > 0 ? at.position : phase.length - 1 - at.position;
  const std::int64_t ahead  = phase.length - 1 - behind;
  if (ahead == 0)
    return 0;
  return phase.kind == CollectiveKind::all_gather ? behind + 1 : ahead;
}

std::int64_t receives(const RingPhase& phase, const RingPlace& at, int direction)
{
  const bool ring           = phase.one_way() || at.closed;
  const std::int64_t behind = direction > 0 ? at.position : phase.length - 1 - at.position;
  if (!ring && behind == 0)
    return 0;
  return sends(phase, ring ? at : RingPlace{at.position - direction, false}, direction);
}

std::int64_t receives_before(const RingPhase& phase, const RingPlace& at, int direction, std::int64_t send)
{
  if (phase.exchanges())
    return 0;
  if (phase.one_way() || at.closed || phase.kind == CollectiveKind::all_gather)
    return send;
  const std::int64_t behind = direction > 0 ? at.position : phase.length - 1 - at.position;
  return behind > 0 ? send + 1 : 0; // a partial sum waits for those behind; the first of the line has none
}

Ticks transmission(const RingPhase& phase, const RingPlace& at, int direction, std::int64_t send)
{
  if (phase.exchanges())
    return phase.factor.closed && !at.closed ? phase.open_step : phase.step;
  if (phase.streams())
    return phase.steps() * phase.step;
  if (phase.one_way() || !at.closed)
    return phase.step;
  return send >= sends(phase, at, direction) - phase.factor.stride ? phase.last_step : phase.step;
}

RingPhase as_on(RingPhase phase, double speed, bool cut)
{
  if (cut && phase.factor.closed) {
    phase.factor.closed = false;
    phase.last_step     = phase.step;
    if (phase.exchanges())
      phase.step = phase.open_step;
  }
  phase.bus *= speed; // the bus is not slower
  phase.step      = at_link_speed(phase.step, speed);
  phase.last_step = at_link_speed(phase.last_step, speed);
  return phase;
}

} // namespace podsim
