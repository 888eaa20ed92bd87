#include "sim/metrics/links.hpp"

#include "sim/engine/row.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace podsim {

std::string link_name(const LatticeAxis& axis)
{
  return axis.kind == AxisKind::ici ? "ici" : axis.name;
}

AxisMask axes_on(const std::string& link, AxisMask axes, const Placement& placement, const Machine& machine)
{
  AxisMask found = 0;
  for (std::size_t axis = 0; axis < placement.size(); ++axis)
    for (const AxisFactor& factor : placement[axis])
      if ((axes >> axis & 1U) && factor.length > 1 && link_name(machine.lattice.axes[factor.axis]) == link)
        found |= AxisMask{1} << axis;
  return found;
}

std::vector<std::pair<std::string, double>> link_shares(const Plan& plan, const Machine& machine)
{
  std::vector<std::pair<std::string, double>> shares;
  double all = 0;
  each_phase(plan, [&](const Phase& phase) {
    const std::string link = link_name(machine.lattice.axes[phase.factor().axis]);
    const auto own         = static_cast<double>(phase.duration({}));
    auto known = std::find_if(shares.begin(), shares.end(), [&](const auto& row) { return row.first == link; });
    if (known == shares.end())
      known = shares.insert(shares.end(), {link, 0.0});
    known->second += own;
    all += own;
  });
  for (auto& [link, share] : shares)
    share /= all;
  return shares;
}

namespace {

// What a device of each stage puts on the links of each lattice axis in a step; stages of one program send the same,
// but for their place in the pipeline.
std::vector<std::vector<Traffic>> traffic_of_stages(const ShardedProgram& program, const TimedProgram& timed,
                                                    const Machine& machine, const Placement& placement)
{
  std::map<std::size_t, std::vector<Traffic>> of_program;
  std::vector<std::vector<Traffic>> all;
  for (std::size_t stage = 0; stage < program.stages.size(); ++stage) {
    const auto [at, fresh]        = of_program.try_emplace(program.stages[stage].program, machine.lattice.axes.size());
    std::vector<Traffic>& by_axis = at->second;
    if (fresh)
      each_operation(program, timed, stage, [&](const DeviceOperation& op, const TimedOperation& own, double times) {
        const auto add = [&](std::size_t axis, const Traffic& each) {
          by_axis[axis].sent += each.sent * times;
          by_axis[axis].busy += each.busy * static_cast<Ticks>(times);
          by_axis[axis].busy_at_end += each.busy_at_end * static_cast<Ticks>(times);
        };
        each_phase(own.plan, [&](const Phase& phase) { add(phase.factor().axis, phase.traffic()); });
        if (op.kind == DeviceOperation::Kind::send)
          add(stage_factor(program, placement).axis, {op.transfer, own.duration});
      });
    all.push_back(by_axis);
  }
  return all;
}

// How long the busiest NIC is busy: all devices of its host use it, of whatever stage they are.
Ticks busiest_nic(const std::vector<std::vector<Traffic>>& by_stage, const ShardedProgram& program,
                  const Machine& machine, const Placement& placement)
{
  const std::size_t dcn = machine.dcn_axis();
  if (!program.pipeline)
    return by_stage.front()[dcn].busy * machine.devices_per_host();
  std::unordered_map<std::int64_t, Ticks> hosts;
  Ticks most = 0;
  for (std::int64_t device = 0; device < machine.devices(); ++device) {
    const auto stage = static_cast<std::size_t>(position(placement[*program.pipeline], device, machine.lattice));
    Ticks& own       = hosts[machine.host_of(device)];
    own += by_stage[stage][dcn].busy;
    most = std::max(most, own);
  }
  return most;
}

} // namespace

std::vector<LinkUse> link_use(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
                              const Placement& placement, Seconds step)
{
  const std::vector<std::vector<Traffic>> by_stage = traffic_of_stages(program, timed, machine, placement);
  std::vector<LinkUse> links;
  for (std::size_t axis = 0; axis < machine.lattice.axes.size(); ++axis) {
    const LatticeAxis& own = machine.lattice.axes[axis];
    if (own.kind != AxisKind::ici && own.size == 1)
      continue;
    Traffic most;
    for (const std::vector<Traffic>& by_axis : by_stage)
      if (by_axis[axis].most() > most.most())
        most = by_axis[axis];
    if (own.kind == AxisKind::dcn)
      most = {most.sent, busiest_nic(by_stage, program, machine, placement)};
    links.push_back({own.kind == AxisKind::ici ? "ici_" + own.name : own.name, most.sent,
                     to_seconds(static_cast<double>(most.most())) / step});
  }
  std::sort(links.begin(), links.end(), [](const LinkUse& a, const LinkUse& b) { return a.name < b.name; });
  return links;
}

std::optional<double> bisection_use(const ShardedProgram& program, const TimedProgram& timed)
{
  double cut = 0;
  double all = 0;
  for (std::size_t stage = 0; stage < program.stages.size(); ++stage)
    each_operation(program, timed, stage, [&](const DeviceOperation&, const TimedOperation& own, double times) {
      Ticks tightest = 0;
      each_phase(own.plan, [&](const Phase& phase) { tightest = std::max(tightest, phase.cut_time()); });
      if (tightest == 0)
        return;
      cut += static_cast<double>(tightest) * times;
      all += static_cast<double>(own.duration) * times;
    });
  return all > 0 ? std::optional(cut / all) : std::nullopt;
}

BytesPerSecond burst(const ShardedProgram& program, const TimedProgram& timed, const Trace& trace,
                     const Machine& machine)
{
  Bytes sent;
  Seconds time;
  const std::size_t own = program.stages[trace.stages.front()].program;
  const bool crosses    = std::any_of(timed.programs[own].begin(), timed.programs[own].end(), [](const auto& block) {
    return std::any_of(block.begin(), block.end(), [](const TimedOperation& op) { return over_dcn(op.plan); });
  });
  if (!crosses)
    return BytesPerSecond(0);
  const auto& durations = timed.durations(own, machine.overrides.device(trace.classes.front().representative));
  const auto add        = [&](const TraceRecord& record) {
    const Step& step          = program.stages[trace.stages.front()].steps[static_cast<std::size_t>(record.step)];
    const TimedBlocks& blocks = timed.programs[own];
    const auto& block         = blocks[static_cast<std::size_t>(step.block)];
    if (std::none_of(block.begin(), block.end(), [](const TimedOperation& op) { return over_dcn(op.plan); }))
      return;
    for (const TraceRecord& one :
         split(record, program.programs[own], program.stages[trace.stages.front()], durations)) {
      const Plan& plan = block[static_cast<std::size_t>(one.operation)].plan;
      if (!over_dcn(plan))
        continue;
      each_phase(plan, [&](const Phase& phase) {
        if (phase.link() == AxisKind::dcn)
          sent += phase.traffic().sent * static_cast<double>(machine.devices());
      });
      for (const auto& [link, share] : link_shares(plan, machine))
        time += (one.end - one.start) * (link == "dcn" ? share : 0);
    }
  };
  each_record(trace, add, 0);
  return time > Seconds(0) ? sent / time : BytesPerSecond(0);
}

} // namespace podsim
