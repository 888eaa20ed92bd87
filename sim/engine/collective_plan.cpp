#include "sim/engine/collective_plan.hpp"

#include <algorithm>

namespace podsim {
namespace {

RingPhase ici_phase(const TorusFactor& factor, CollectiveKind kind, Bytes chunk, const Machine& machine)
{
  RingPhase phase{.kind = kind, .dcn = false, .factor = factor, .length = factor.length, .chunk = chunk};
  const bool halved = factor.closed && factor.length % 2 == 0;
  phase.step        = to_ticks(chunk / machine.ici.effective());
  phase.last_step   = halved ? to_ticks(chunk * 0.5 / machine.ici.effective()) : phase.step;
  phase.latency     = to_ticks(machine.ici.hop_latency);
  return phase;
}

RingPhase dcn_phase(CollectiveKind kind, Bytes chunk, const Machine& machine)
{
  RingPhase phase{.kind = kind, .dcn = true, .length = machine.pods, .chunk = chunk};
  phase.step         = to_ticks(chunk / machine.host.nic_bandwidth);
  phase.latency      = to_ticks(machine.dcn_latency);
  phase.last_step    = phase.step;
  phase.crowded_step = std::max(machine.chips_per_host() * phase.step, to_ticks(chunk / machine.host.pcie_bandwidth));
  return phase;
}

struct Ring {
  bool dcn;
  TorusFactor factor;
  std::int64_t length;
};

// A reduce-scatter of `full` over the rings in their order, or an all-gather over them in reverse order: in both the
// chunk is `full` over the sizes of this ring and of those before it.
PlanPart one_way(CollectiveKind kind, const std::vector<Ring>& rings, Bytes full, const Machine& machine)
{
  PlanPart phases;
  double pieces = 1;
  for (const Ring& ring : rings) {
    pieces *= static_cast<double>(ring.length);
    const Bytes chunk = full / pieces;
    phases.push_back(ring.dcn ? dcn_phase(kind, chunk, machine) : ici_phase(ring.factor, kind, chunk, machine));
  }
  if (kind == CollectiveKind::all_gather)
    std::reverse(phases.begin(), phases.end());
  return phases;
}

} // namespace

Plan plan(const Collective& collective, const Machine& machine, const Placement& placement, MultiAxis multi_axis)
{
  std::vector<Ring> rings;
  for (std::size_t axis = 0; axis < placement.size(); ++axis) {
    if (!(collective.axes >> axis & 1U))
      continue;
    if (placement[axis].on_dcn)
      rings.push_back({true, {}, machine.pods});
    for (const TorusFactor& factor : placement[axis].factors)
      rings.push_back({false, factor, factor.length});
  }
  std::erase_if(rings, [](const Ring& ring) { return ring.length == 1; });
  // Between pods goes only what is left when each pod has reduced its own.
  std::stable_partition(rings.begin(), rings.end(), [](const Ring& ring) { return !ring.dcn; });
  const bool all_torus = std::none_of(rings.begin(), rings.end(), [](const Ring& ring) { return ring.dcn; });
  const std::size_t parts =
      multi_axis == MultiAxis::concurrent && all_torus ? std::max<std::size_t>(rings.size(), 1) : 1;
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
    result.parts.push_back(std::move(phases));
    std::rotate(rings.begin(), rings.begin() + 1, rings.end());
  }
  return result;
}

std::int64_t sends(const RingPhase& phase, std::int64_t position, int direction)
{
  if (phase.dcn)
    return direction > 0 ? phase.length - 1 : 0;
  if (phase.factor.closed) // chips `stride` apart relay through those between them, in step with their rings
    return phase.length / 2 * phase.factor.stride;
  const std::int64_t behind = direction > 0 ? position : phase.length - 1 - position;
  const std::int64_t ahead  = phase.length - 1 - behind;
  if (ahead == 0)
    return 0;
  return phase.kind == CollectiveKind::all_gather ? behind + 1 : ahead;
}

std::int64_t receives(const RingPhase& phase, std::int64_t position, int direction)
{
  const bool ring           = phase.dcn || phase.factor.closed;
  const std::int64_t behind = direction > 0 ? position : phase.length - 1 - position;
  if (!ring && behind == 0)
    return 0;
  return sends(phase, ring ? position : position - direction, direction);
}

std::int64_t receives_before(const RingPhase& phase, std::int64_t position, int direction, std::int64_t send)
{
  if (phase.dcn || phase.factor.closed || phase.kind == CollectiveKind::all_gather)
    return send;
  const std::int64_t behind = direction > 0 ? position : phase.length - 1 - position;
  return behind > 0 ? send + 1 : 0; // a partial sum waits for those behind; the first of the line has none
}

Ticks duration(const RingPhase& phase)
{
  if (phase.dcn)
    return (phase.length - 1) * (phase.crowded_step + phase.latency);
  if (!phase.factor.closed)
    return (phase.length - 1) * (phase.step + phase.latency);
  const std::int64_t steps = phase.length / 2;
  return phase.factor.stride * ((steps - 1) * phase.step + phase.last_step + steps * phase.latency);
}

Ticks duration(const Plan& plan)
{
  Ticks longest = 0;
  for (const PlanPart& part : plan.parts) {
    Ticks sum = 0;
    for (const RingPhase& phase : part)
      sum += duration(phase);
    longest = std::max(longest, sum);
  }
  return longest;
}

Traffic traffic(const RingPhase& phase, const Machine& machine)
{
  if (phase.dcn) {
    const std::int64_t chunks = phase.length - 1;
    return {phase.chunk * static_cast<double>(chunks), chunks * machine.chips_per_host() * phase.step};
  }
  const auto chunks = static_cast<double>(phase.length - 1); // both directions of a ring together; of a line on average
  if (!phase.factor.closed)
    return {phase.chunk * chunks, (phase.length - 1) * phase.step};
  const std::int64_t steps = phase.length / 2;
  return {phase.chunk * (chunks * static_cast<double>(phase.factor.stride)),
          phase.factor.stride * ((steps - 1) * phase.step + phase.last_step)};
}

bool shares_links_with_itself(const Plan& plan, const Machine& machine)
{
  const auto crowds = [&](const RingPhase& phase) { return phase.dcn && machine.chips_per_host() > 1; };
  for (const PlanPart& part : plan.parts)
    if (std::any_of(part.begin(), part.end(), crowds))
      return true;
  if (plan.parts.size() < 2)
    return false;
  // Parts keep out of each other's way only if all are on equal rings, and so change axes together.
  const TorusFactor& first = plan.parts.front().front().factor;
  return std::any_of(plan.parts.front().begin(), plan.parts.front().end(), [&](const RingPhase& phase) {
    return phase.factor.length != first.length || phase.factor.closed != first.closed ||
           phase.factor.stride != first.stride;
  });
}

} // namespace podsim
