#include "sim/collectives/plan.hpp"

#include "sim/collectives/all_to_all.hpp"
#include "sim/collectives/dcn_ring.hpp"
#include "sim/collectives/overlapped.hpp"
#include "sim/collectives/switched_ring.hpp"
#include "sim/collectives/torus_ring.hpp"

#include <algorithm>

namespace podsim {
namespace {

// The ring of a reduce-scatter or an all-gather along one factor, with chunks of this size.
PhasePtr ring(RingUse use, const AxisFactor& factor, Bytes chunk, const Machine& machine)
{
  switch (machine.lattice.axes[factor.axis].kind) {
  case AxisKind::local:
    return switched_ring(factor, chunk, machine);
  case AxisKind::ici:
    return torus_ring(use, factor, chunk, machine);
  case AxisKind::dcn:
    break;
  }
  return dcn_ring(factor, chunk, machine);
}

// Over the rings in their order what a reduce-scatter of `full` does, and over them in reverse order what an all-gather
// does: in both the chunk is `full` over the sizes of this ring and of those before it. What is gathered over the DCN
// right after it was reduced there goes as one.
PlanPart one_after_the_other(CollectiveKind kind, const std::vector<AxisFactor>& rings, Bytes full,
                             const Machine& machine, DcnAllReduce dcn_all_reduce)
{
  PlanPart scatters, gathers;
  double pieces = 1;
  for (const AxisFactor& factor : rings) {
    pieces *= static_cast<double>(factor.length);
    const Bytes chunk = full / pieces;
    const bool last   = &factor == &rings.back();
    if (kind == CollectiveKind::all_reduce && last && machine.lattice.axes[factor.axis].kind == AxisKind::dcn) {
      scatters.push_back(dcn_all_reduce(factor, chunk, machine));
      break;
    }
    if (kind != CollectiveKind::all_gather)
      scatters.push_back(ring(RingUse::scatter, factor, chunk, machine));
    if (kind != CollectiveKind::reduce_scatter)
      gathers.push_back(ring(RingUse::gather, factor, chunk, machine));
  }
  scatters.insert(scatters.end(), gathers.rbegin(), gathers.rend());
  return scatters;
}

} // namespace

Plan plan(const Collective& collective, const Machine& machine, const Placement& placement,
          const CollectiveChoices& choices)
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
  if (collective.kind == CollectiveKind::all_to_all)
    return all_to_all(rings, collective.full, machine);
  const bool split = choices.multi_axis == MultiAxis::concurrent && std::all_of(rings.begin(), rings.end(), torus);
  const std::size_t parts = split ? rings.size() : 1;
  Plan result;
  for (std::size_t part = 0; part < parts && !rings.empty(); ++part) {
    PlanPart phases = one_after_the_other(collective.kind, rings, collective.full / static_cast<double>(parts), machine,
                                          choices.dcn_all_reduce);
    if (choices.multi_axis == MultiAxis::pipelined && rings.size() > 1)
      return overlapped(phases, machine);
    result.parts.push_back(std::move(phases));
    std::rotate(rings.begin(), rings.begin() + 1, rings.end());
  }
  return result;
}

bool over_dcn(const Plan& plan)
{
  bool over = false;
  each_phase(plan, [&](const Phase& phase) { over = over || phase.link() == AxisKind::dcn; });
  return over;
}

} // namespace podsim
