#pragma once
// How a collective runs on the machine: which phases (phase.hpp), in which order.
//
// Over several torus axes it goes axis by axis, with the shards that the axes before have gathered, or in as many parts
// as there are axes, each beginning on another one. An all-reduce is a reduce-scatter, then an all-gather; between pods
// and nodes, where goes only what is left when each has reduced its own, it is one of the algorithms of
// dcn_all_reduces.hpp. An all-to-all uses all axes at once (all_to_all.hpp), and so do phases that overlap
// (overlapped.hpp).

#include "sim/collectives/dcn_all_reduces.hpp"
#include "sim/collectives/phase.hpp"
#include "sim/sharding/collective.hpp"
#include "sim/sharding/compilation.hpp"

#include <vector>

namespace podsim {

// What software makes of its collectives.
struct CollectiveChoices {
  CollectiveChoices(MultiAxis several = MultiAxis::sequential) : multi_axis(several) {} // with the usual algorithms

  MultiAxis multi_axis;
  DcnAllReduce dcn_all_reduce = dcn_all_reduces().front().second;
};

using PlanPart = std::vector<PhasePtr>; // one after the other
struct Plan {
  std::vector<PlanPart> parts; // at once
  bool exchange = false;       // a part for each axis, in which a device sends once; all begin and end as one
  Ticks rest    = 0;           // of an exchange: latencies of the longest way that no axis shows by itself
};

Plan plan(const Collective& collective, const Machine& machine, const Placement& placement,
          const CollectiveChoices& choices);

bool over_dcn(const Plan& plan); // whether any of it goes over the DCN

// Calls f(phase) for each phase of a plan.
template <class F> void each_phase(const Plan& plan, const F& f)
{
  for (const PlanPart& part : plan.parts)
    for (const PhasePtr& phase : part)
      f(*phase);
}

} // namespace podsim
