#include "sim/evaluate/feasibility.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace podsim {
namespace {

// What is slow makes a step at most as much longer as if all of it were, and mostly far less: that is known when it has
// been simulated, if only the ticks of a sum can be counted (2^63 are 97 days).
constexpr Seconds longest_sum{1e6};

} // namespace

Seconds serial_time(const Prepared& prepared)
{
  const Machine& machine = prepared.scenario.machine;
  BytesPerSecond slowest = machine.host.nic_bandwidth / static_cast<double>(machine.devices_per_host());
  for (const LatticeAxis& axis : machine.lattice.axes)
    if (axis.kind != AxisKind::dcn)
      slowest =
          std::min(slowest, machine.wire(static_cast<std::size_t>(&axis - machine.lattice.axes.data())).effective());
  // A block's time once, however many micro-batches and layers run it.
  std::vector<std::vector<Seconds>> blocks;
  for (const DeviceProgram& program : prepared.sharded.programs) {
    std::vector<Seconds>& own = blocks.emplace_back();
    for (const DeviceBlock& block : program.blocks) {
      Seconds& once = own.emplace_back();
      for (const DeviceOperation& op : block.operations)
        once += op.kind == DeviceOperation::Kind::compute ? operation_time(op.work, machine.chip).total()
                                                          : (op.collective.full + op.transfer) / slowest;
    }
  }
  Seconds longest;
  for (const Stage& stage : prepared.sharded.stages) {
    Seconds sum;
    for (const Step& step : stage.steps)
      sum += blocks[stage.program][static_cast<std::size_t>(step.block)] * static_cast<double>(step.count);
    longest = std::max(longest, sum);
  }
  return longest;
}

Refusal too_long(Seconds step)
{
  return {Status::time,
          fmt::format("a step would take about {:.3g} h, more than the {:.2g} h that the simulator's clock holds",
                      step / Seconds(3600), longest_step / Seconds(3600))};
}

Refusal lacks_memory(const Prepared& prepared, const Memory& needed, const TimeStep& time, PreparedBefore* before)
{
  const Bytes all   = needed.total();
  const Bytes there = capacity_of(prepared.scenario.machine.chip);
  return {Status::memory, fmt::format("needs {} a chip, {} more than its {}; {}", format(all), format(all - there),
                                      format(there), remedies(prepared, time, before))};
}

std::optional<Refusal> refusal(const Prepared& prepared, const Memory& needed, PreparedBefore* before)
{
  const Machine& machine = prepared.scenario.machine;
  if (needed.total() > capacity_of(machine.chip))
    return lacks_memory(
        prepared, needed, [](const Scenario&) { return std::optional<Seconds>(); }, before);
  const Seconds time = serial_time(prepared);
  if (time > longest_step)
    return too_long(time);
  if (const Seconds slowed = time / machine.overrides.slowest(); slowed > longest_sum)
    return too_long(slowed);
  return {};
}

} // namespace podsim
