#include "sim/evaluate/remedies.hpp"

#include "sim/metrics/memory.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>
#include <vector>

namespace podsim {
namespace {

struct Change {
  std::string what;
  Scenario scenario;
};
using Changes = std::vector<Change>; // of one kind, from the mildest on

AxisMask of_batch(const Scenario& scenario)
{
  return scenario.training().sharding.compute[static_cast<std::size_t>(Dim::batch)];
}

// Whether the batch divides into its micro-batches, and those over their devices.
bool divides(const Scenario& scenario)
{
  const Pipeline& pipeline    = scenario.training().pipeline;
  const std::int64_t parts    = scenario.mesh.size(of_batch(scenario));
  const std::int64_t together = pipeline.micro_batches * parts;
  const std::int64_t group    = scenario.training().model.experts.group;
  if (scenario.training().step.batch < together || scenario.training().step.batch % together != 0)
    return false;
  if (pipeline.schedule == PipelineSchedule::interleaved && pipeline.micro_batches % pipeline.stages != 0)
    return false;
  return group == 0 || scenario.training().step.batch / pipeline.micro_batches * scenario.training().step.sequence %
                               (group * parts) ==
                           0;
}

Changes smaller_micro_batches(const Scenario& from)
{
  Changes all;
  const std::int64_t replicas = from.mesh.size(of_batch(from));
  for (std::int64_t own = from.training().step.batch / from.training().pipeline.micro_batches / replicas / 2; own >= 1;
       own /= 2) {
    if (from.training().step.batch % (own * replicas) != 0)
      continue;
    Change& change = all.emplace_back(Change{fmt::format("workload.micro_batch={}", own), from});
    change.scenario.training().pipeline.micro_batches = from.training().step.batch / (own * replicas);
  }
  return all;
}

Changes more_remat(const Scenario& from)
{
  Changes all;
  const Remat::Keep keep = from.training().step.remat.keep;
  if (keep == Remat::Keep::all)
    all.push_back({"workload.remat=attention", from});
  if (keep == Remat::Keep::all)
    all.back().scenario.training().step.remat =
        Remat{.keep = Remat::Keep::all_but_attention, .kept = {}, .matrix_fraction = {}};
  if (keep != Remat::Keep::inputs)
    all.push_back({"workload.remat=full", from});
  if (keep != Remat::Keep::inputs)
    all.back().scenario.training().step.remat = Remat{.keep = Remat::Keep::inputs, .kept = {}, .matrix_fraction = 1.0};
  return all;
}

Changes smaller_batches(const Scenario& from)
{
  Changes all;
  for (std::int64_t divisor = 2; divisor <= 8 && from.training().step.batch % divisor == 0; divisor *= 2) {
    Change& change =
        all.emplace_back(Change{fmt::format("workload.batch={}", from.training().step.batch / divisor), from});
    change.scenario.training().step.batch /= divisor;
  }
  return all;
}

// Takes a part of a mesh axis for a new one; on a torus only a whole axis of the machine, whose ring stays one.
bool split_axis(Scenario& scenario, std::size_t axis, std::int64_t size)
{
  for (AxisFactor& factor : scenario.placement[axis]) {
    const bool torus = scenario.machine.lattice.axes[factor.axis].kind == AxisKind::ici;
    if (factor.length % size != 0 || (torus && factor.length != size))
      continue;
    AxisFactor part = factor;
    part.length     = size;
    factor.length /= size;
    factor.stride *= size;
    scenario.placement.push_back({part});
    scenario.mesh.axes[axis].size /= size;
    scenario.mesh.axes.push_back({"context", size});
    return true;
  }
  return false;
}

// Sequences split over a part of the devices that had split the batch, which then take one each.
Changes context_axes(const Scenario& from)
{
  constexpr std::int64_t long_sequence = 8192;
  Changes all;
  if (from.training().step.sequence < long_sequence || from.mesh.find("context") != 0 || from.mesh.axes.size() == 16)
    return all;
  for (std::int64_t size = 2; size <= 64; size *= 2)
    for (std::size_t axis = 0; axis < from.mesh.axes.size(); ++axis) {
      Scenario changed = from;
      if ((of_batch(from) >> axis & 1U) == 0 || from.training().step.sequence % size != 0 ||
          !split_axis(changed, axis, size))
        continue;
      const AxisMask data    = AxisMask{1} << axis;
      const AxisMask context = changed.mesh.find("context");
      ShardingRules& rules   = changed.training().sharding;
      for (DimAxes* table : {&rules.weights, &rules.gradients, &rules.optimizer})
        for (AxisMask& axes : *table)
          axes |= (axes & data) != 0 ? context : 0;
      for (DimAxes* table : {&rules.activations, &rules.compute})
        for (const Dim dim : {Dim::sequence, Dim::key_sequence})
          (*table)[static_cast<std::size_t>(dim)] |= context;
      changed.training().pipeline.micro_batches =
          std::max<std::int64_t>(1, changed.training().step.batch / changed.mesh.size(of_batch(changed)));
      const std::string& name = from.mesh.axes[axis].name;
      all.push_back({fmt::format("a mesh axis context of {} out of {}, now {}, that splits the sequence (sharding "
                                 "context), and workload.micro_batch=1",
                                 size, name, changed.mesh.axes[axis].size),
                     std::move(changed)});
      break;
    }
  return all;
}

struct Remedy {
  std::string what;
  Bytes memory;
  std::optional<Seconds> step;
};

// The mildest that fits.
std::optional<Remedy> first_to_fit(const Changes& changes, const TimeStep& time, PreparedBefore* before)
{
  for (const Change& change : changes) {
    if (!divides(change.scenario))
      continue;
    const Bytes needed = memory_of_chip(change.scenario, before).total();
    if (needed <= capacity_of(change.scenario.machine.chip))
      return Remedy{change.what, needed, time(change.scenario)};
  }
  return std::nullopt;
}

std::string text(const std::vector<Remedy>& found)
{
  std::vector<std::string> all;
  for (const Remedy& one : found)
    all.push_back(one.step ? fmt::format("{} ({}, {} a step)", one.what, format(one.memory), format(*one.step))
                           : fmt::format("{} ({})", one.what, format(one.memory)));
  return fmt::format("it would fit with {}", fmt::join(all, " or "));
}

// One change after another.
Changes both(const Changes& first, Changes (*second)(const Scenario&))
{
  Changes all;
  for (const Change& one : first)
    for (Change& other : second(one.scenario))
      all.push_back({one.what + " and " + other.what, std::move(other.scenario)});
  return all;
}

} // namespace

std::string remedies(const Prepared& prepared, const TimeStep& time, PreparedBefore* before)
{
  const Scenario& scenario = prepared.scenario;
  // None of the changes has an influence on what is kept through the step.
  const Memory need = memory_of_chip(prepared);
  const Bytes kept  = need.parameters + need.optimizer_state + need.gradients;
  if (kept > capacity_of(scenario.machine.chip))
    return fmt::format("parameters, gradients and optimizer state alone take {}: it takes more chips, or weights split "
                       "over more of them",
                       format(kept));
  std::vector<Remedy> found;
  const auto attempt = [&](const Changes& changes) {
    if (auto remedy = first_to_fit(changes, time, before))
      found.push_back(std::move(*remedy));
  };
  attempt(context_axes(scenario));
  attempt(smaller_micro_batches(scenario));
  attempt(more_remat(scenario));
  if (found.empty())
    attempt(smaller_batches(scenario));
  if (found.empty())
    attempt(both(smaller_micro_batches(scenario), more_remat));
  if (found.empty())
    attempt(both(context_axes(scenario), more_remat));
  if (found.empty())
    attempt(both(smaller_batches(scenario), more_remat));
  if (!found.empty())
    return text(found);
  return fmt::format("{} of it are activations: it takes more chips to split them over, by batch or by sequence",
                     format(need.saved_activations + need.workspace));
}

} // namespace podsim
