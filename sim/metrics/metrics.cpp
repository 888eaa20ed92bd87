#include "sim/metrics/metrics.hpp"

#include <algorithm>
#include <map>
#include <tuple>

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

// The extent of a dimension in the whole program: of its largest tensor.
double size_of(const Program& program, Dim dim)
{
  std::int64_t largest = 0;
  for (const Block& block : program.blocks)
    for (const Tensor& tensor : block.tensors)
      for (const Extent& extent : tensor.shape)
        if (extent.dim == dim)
          largest = std::max(largest, extent.size);
  return static_cast<double>(largest);
}

// Mean over iterations of what passes between the start of a block's first operation and the end of its last. An
// asynchronous operation does not stand in the device's order and is not of the block's time.
std::optional<Seconds> block_time(const Trace& trace, const ShardedProgram& program, const std::string& name)
{
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, std::pair<Seconds, Seconds>> spans;
  for (const TraceRecord& record : trace.records) {
    const DeviceBlock& block = program.programs.front().blocks[static_cast<std::size_t>(record.block)];
    if (block.name != name || block.operations[static_cast<std::size_t>(record.operation)].asynchronous)
      continue;
    const auto [at, first] =
        spans.try_emplace({record.device_class, record.block, record.iteration}, std::pair(record.start, record.end));
    at->second = {std::min(at->second.first, record.start), std::max(at->second.second, record.end)};
  }
  if (spans.empty())
    return {};
  Seconds sum;
  for (const auto& [key, span] : spans)
    sum += span.second - span.first;
  return sum / static_cast<double>(spans.size());
}

} // namespace

double FlopsPerToken::counted(Counting counting) const
{
  switch (counting) {
  case Counting::none:
    return 0;
  case Counting::palm:
    return model();
  case Counting::palm_hardware:
    return hardware();
  case Counting::six_n:
    return weights;
  case Counting::six_n_causal:
    return weights + attention / 2;
  case Counting::two_n:
    return weights / 3;
  case Counting::eight_n:
    return weights * 4 / 3;
  case Counting::narayanan:
    return narayanan;
  }
  return 0;
}

FlopsPerToken flops_per_token(const Program& program)
{
  const ModelShape& m = program.model;
  FlopsPerToken flops_of;
  flops_of.weights    = 6 * m.active_parameters;
  flops_of.attention  = 12.0 * static_cast<double>(m.layers * m.heads * m.head_dim * m.sequence);
  const auto layers   = static_cast<double>(m.layers);
  const double width  = size_of(program, Dim::embed);
  const double length = static_cast<double>(m.sequence);
  if (width > 0)
    flops_of.narayanan =
        96 * layers * width * width * (1 + length / (6 * width) + size_of(program, Dim::vocab) / (16 * layers * width));
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
  metrics.chips                 = static_cast<double>(machine.devices());
  metrics.peak                  = machine.chip.matrix_peak;
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
  double devices = 0;
  for (std::size_t c = 0; c < trace.classes.size(); ++c) {
    const auto own = static_cast<double>(trace.classes[c].devices);
    metrics.bubble += own * (sum_named(metrics.breakdowns[c], "idle") / trace.end);
    devices += own;
  }
  metrics.bubble /= devices;
  metrics.layer_forward  = block_time(trace, sharded, "layer");
  metrics.layer_backward = block_time(trace, sharded, "layer backward");
  metrics.dcn_burst      = burst(trace, account, machine, placement);
  metrics.links          = link_use(sharded, machine, placement, multi_axis, trace.end);
  return metrics;
}

std::optional<double> predicted(Metric metric, Counting counting, const Metrics& metrics)
{
  const double flops     = metrics.flops.counted(counting);
  const double rate      = metrics.tokens_per_s * flops / metrics.chips; // FLOPs a second and chip
  const double sequences = metrics.tokens_per_s / static_cast<double>(metrics.model.sequence);
  const auto number      = [](const auto& quantity) {
    return quantity ? std::optional(quantity->value()) : std::optional<double>();
  };
  switch (metric) {
  case Metric::step_time:
    return metrics.step_time.value();
  case Metric::tokens_per_s:
    return metrics.tokens_per_s;
  case Metric::tokens_per_s_per_chip:
    return metrics.tokens_per_s / metrics.chips;
  case Metric::sequences_per_s:
    return sequences;
  case Metric::sequences_per_s_per_chip:
    return sequences / metrics.chips;
  case Metric::mfu:
  case Metric::hfu:
    return rate / metrics.peak.value();
  case Metric::tflops_per_chip:
    return rate;
  case Metric::layer_forward_time:
    return number(metrics.layer_forward);
  case Metric::layer_backward_time:
    return number(metrics.layer_backward);
  case Metric::bubble:
    return metrics.bubble;
  case Metric::model_flops_per_token:
  case Metric::hardware_flops_per_token:
    return flops;
  case Metric::dcn_burst:
    return metrics.dcn_burst.value();
  case Metric::achieved_bandwidth:
    return number(metrics.achieved_bandwidth);
  case Metric::achieved_flops:
    return number(metrics.achieved_flops);
  }
  return {};
}

std::optional<double> energy_per_token(std::optional<double> chip_power, const Metrics& metrics)
{
  if (!chip_power)
    return {};
  return *chip_power * metrics.chips / metrics.tokens_per_s;
}

} // namespace podsim
