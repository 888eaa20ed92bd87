#include "sim/metrics/metrics.hpp"

#include <algorithm>
#include <map>

namespace podsim {
namespace {

AxisMask dcn_axes(AxisMask axes, const Placement& placement)
{
  AxisMask dcn = 0;
  for (std::size_t axis = 0; axis < placement.size(); ++axis)
    if (placement[axis].on_dcn)
      dcn |= axes & (AxisMask{1} << axis);
  return dcn;
}

// The share of a collective's time that its phases between pods take.
double dcn_share(const Collective& collective, const Machine& machine, const Placement& placement)
{
  Ticks dcn = 0;
  Ticks all = 0;
  for (const PlanPart& part : plan(collective, machine, placement, MultiAxis::sequential).parts)
    for (const RingPhase& phase : part) {
      all += duration(phase);
      dcn += phase.dcn ? duration(phase) : 0;
    }
  return all > 0 ? static_cast<double>(dcn) / static_cast<double>(all) : 0;
}

// Sums by name, kept in the order in which a report shows them.
class Account {
public:
  Account(const ShardedProgram& program, const Machine& machine, const Placement& placement)
      : program_(program), machine_(machine), placement_(placement)
  {
  }

  Breakdown of(const Trace& trace, int device_class)
  {
    sums_.clear();
    for (const char* name : {"matrix_unit", "hbm", "vector_unit", "overhead"})
      slot(name);
    for (std::size_t axis = 0; axis < placement_.size(); ++axis)
      slot(exposed(AxisMask{1} << axis));
    Seconds last;
    for (const TraceRecord& record : trace.records) {
      const DeviceOperation& operation = operation_of(record);
      if (record.device_class != device_class || operation.asynchronous)
        continue;
      if (record.start > record.ready)
        slot(record.waited_for != 0 ? exposed(record.waited_for) : "idle") += record.start - record.ready;
      spend(operation, record.end - record.start);
      last = record.end;
    }
    slot("optimizer");
    slot("idle") += trace.end - last;
    Breakdown ordered = sums_;
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
    return ordered;
  }

  const DeviceOperation& operation_of(const TraceRecord& record) const
  {
    return program_.programs.front()
        .blocks[static_cast<std::size_t>(record.block)]
        .operations[static_cast<std::size_t>(record.operation)];
  }

private:
  static int rank(const std::string& name)
  {
    return name == "optimizer" ? 2 : name == "idle" ? 3 : name.starts_with("exposed") ? 1 : 0;
  }

  Seconds& slot(const std::string& name)
  {
    for (auto& [known, sum] : sums_)
      if (known == name)
        return sum;
    return sums_.emplace_back(name, Seconds(0)).second;
  }

  std::string exposed(AxisMask axes) const
  {
    return (dcn_axes(axes, placement_) != 0 ? "exposed_dcn_" : "exposed_ici_") + program_.mesh.names(axes);
  }

  void spend(const DeviceOperation& operation, Seconds time)
  {
    if (operation.kind == DeviceOperation::Kind::collective) {
      const AxisMask dcn = dcn_axes(operation.collective.axes, placement_);
      const AxisMask ici = operation.collective.axes & ~dcn;
      const double share = dcn_share(operation.collective, machine_, placement_);
      if (dcn != 0)
        slot(exposed(dcn)) += time * share;
      if (ici != 0)
        slot(exposed(ici)) += time * (1 - share);
      return;
    }
    if (operation.pass == Pass::update) {
      slot("optimizer") += time;
      return;
    }
    const OperationTime units = operation_time(operation.work, machine_.chip);
    const Seconds fixed =
        std::min(time, to_seconds(static_cast<double>(to_ticks(units.fixed)))); // whole ticks add up exactly
    slot("overhead") += fixed;
    const bool matrix = units.matrix >= units.hbm && units.matrix >= units.vector;
    slot(matrix ? "matrix_unit" : units.hbm >= units.vector ? "hbm" : "vector_unit") += time - fixed;
  }

  const ShardedProgram& program_;
  const Machine& machine_;
  const Placement& placement_;
  Breakdown sums_;
};

Seconds sum_named(const Breakdown& breakdown, const std::string& name)
{
  for (const auto& [known, time] : breakdown)
    if (known == name)
      return time;
  return Seconds(0);
}

std::vector<LinkUse> link_use(const ShardedProgram& program, const Machine& machine, const Placement& placement,
                              MultiAxis multi_axis, Seconds step)
{
  std::map<std::string, Traffic> by_name;
  for (const DeviceBlock& block : program.programs.front().blocks)
    for (const DeviceOperation& operation : block.operations) {
      if (operation.kind != DeviceOperation::Kind::collective)
        continue;
      for (const PlanPart& part : plan(operation.collective, machine, placement, multi_axis).parts)
        for (const RingPhase& phase : part) {
          Traffic& sum      = by_name[phase.dcn ? "dcn" : "ici_" + axis_name(phase.factor.axis)];
          const Traffic own = traffic(phase, machine);
          sum.sent += own.sent * static_cast<double>(block.count);
          sum.busy += own.busy * block.count;
        }
    }
  std::vector<LinkUse> links;
  for (std::size_t axis = 0; axis < machine.torus.shape.size(); ++axis)
    by_name.try_emplace("ici_" + axis_name(axis));
  if (machine.pods > 1)
    by_name.try_emplace("dcn");
  for (const auto& [name, sum] : by_name)
    links.push_back({name, sum.sent, to_seconds(static_cast<double>(sum.busy)) / step});
  return links;
}

// What all devices send across pods, over the time that the exchanges take.
BytesPerSecond burst(const Trace& trace, const Account& account, const Machine& machine, const Placement& placement)
{
  Bytes sent;
  Seconds time;
  for (const TraceRecord& record : trace.records) {
    const DeviceOperation& operation = account.operation_of(record);
    if (operation.kind != DeviceOperation::Kind::collective || record.device_class != 0)
      continue;
    for (const PlanPart& part : plan(operation.collective, machine, placement, MultiAxis::sequential).parts)
      for (const RingPhase& phase : part)
        if (phase.dcn)
          sent += traffic(phase, machine).sent * static_cast<double>(machine.devices());
    time += (record.end - record.start) * dcn_share(operation.collective, machine, placement);
  }
  return time > Seconds(0) ? sent / time : BytesPerSecond(0);
}

} // namespace

FlopsPerToken flops_per_token(const Program& program)
{
  const ModelShape& m = program.model;
  FlopsPerToken flops_of;
  flops_of.weights   = 6 * m.active_parameters;
  flops_of.attention = 12.0 * static_cast<double>(m.layers * m.heads * m.head_dim * m.sequence);
  for (const Block& block : program.blocks)
    for (const Operation& operation : block.operations)
      if (operation.pass == Pass::recompute)
        flops_of.repeated += flops(block, operation) * static_cast<double>(block.count) / program.tokens_per_step;
  return flops_of;
}

Metrics measure(const Program& program, const ShardedProgram& sharded, const Machine& machine,
                const Placement& placement, MultiAxis multi_axis, const Trace& trace)
{
  Metrics metrics;
  metrics.step_time             = trace.end;
  metrics.tokens_per_step       = program.tokens_per_step;
  metrics.tokens_per_s          = program.tokens_per_step / trace.end.value();
  metrics.model                 = program.model;
  metrics.flops                 = flops_per_token(program);
  const double peak             = (machine.chip.matrix_peak * static_cast<double>(machine.devices())).value();
  metrics.mfu                   = metrics.tokens_per_s * metrics.flops.model() / peak;
  metrics.mfu_without_attention = metrics.tokens_per_s * metrics.flops.weights / peak;
  metrics.hfu                   = metrics.tokens_per_s * metrics.flops.hardware() / peak;

  Account account(sharded, machine, placement);
  for (std::size_t c = 0; c < trace.classes.size(); ++c)
    metrics.breakdowns.push_back(account.of(trace, static_cast<int>(c)));
  for (std::size_t c = 1; c < metrics.breakdowns.size(); ++c)
    if (sum_named(metrics.breakdowns[c], "idle") < sum_named(metrics.breakdowns[metrics.critical], "idle"))
      metrics.critical = c;
  metrics.dcn_burst = burst(trace, account, machine, placement);
  metrics.links     = link_use(sharded, machine, placement, multi_axis, trace.end);
  return metrics;
}

double predicted(Metric metric, const Metrics& metrics)
{
  switch (metric) {
  case Metric::mfu:
    return metrics.mfu;
  case Metric::mfu_without_attention:
    return metrics.mfu_without_attention;
  case Metric::hfu:
    return metrics.hfu;
  case Metric::tokens_per_s:
    return metrics.tokens_per_s;
  case Metric::step_time:
    return metrics.step_time.value();
  case Metric::dcn_burst:
    return metrics.dcn_burst.value();
  }
  return 0;
}

} // namespace podsim
