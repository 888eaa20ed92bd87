#include "sim/metrics/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

namespace podsim {
namespace {

std::string link_name(const LatticeAxis& axis)
{
  return axis.kind == AxisKind::ici ? "ici" : axis.name;
}

// The mesh axes among `axes` that lie, in part at least, on links of this name.
AxisMask axes_on(const std::string& link, AxisMask axes, const Placement& placement, const Machine& machine)
{
  AxisMask found = 0;
  for (std::size_t axis = 0; axis < placement.size(); ++axis)
    for (const AxisFactor& factor : placement[axis])
      if ((axes >> axis & 1U) && factor.length > 1 && link_name(machine.lattice.axes[factor.axis]) == link)
        found |= AxisMask{1} << axis;
  return found;
}

// The share of a collective's time that its phases on each kind of link take.
std::vector<std::pair<std::string, double>> link_shares(const Plan& plan, const Machine& machine)
{
  std::vector<std::pair<std::string, double>> shares;
  double all = 0;
  for (const PlanPart& part : plan.parts)
    for (const RingPhase& phase : part) {
      const std::string link = link_name(machine.lattice.axes[phase.factor.axis]);
      const auto own         = static_cast<double>(duration(phase));
      auto known = std::find_if(shares.begin(), shares.end(), [&](const auto& row) { return row.first == link; });
      if (known == shares.end())
        known = shares.insert(shares.end(), {link, 0.0});
      known->second += own;
      all += own;
    }
  for (auto& [link, share] : shares)
    share /= all;
  return shares;
}

bool has(const Tensor& tensor, Dim dim)
{
  return std::any_of(tensor.shape.begin(), tensor.shape.end(), [&](const Extent& one) { return one.dim == dim; });
}

// A sum of times in which their order does not matter: what shares a link may leave the clock's grid, and records that
// end together stand in any order. Counted in 2^-9 ticks, of which 2^63 are the longest step.
class TimeSum {
public:
  void add(Seconds time) { parts_ += std::llround(time.value() * parts_per_second); }
  Seconds total() const { return Seconds(static_cast<double>(parts_) / parts_per_second); }

private:
  static constexpr double parts_per_second = ticks_per_second * 0x1p9;
  std::int64_t parts_                      = 0;
};

// Sums by name, kept in the order in which a report shows them.
class Account {
public:
  Account(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine, const Placement& placement)
      : program_(program), timed_(timed), machine_(machine), placement_(placement)
  {
    for (const char* name : {"matrix_unit", "hbm", "vector_unit", "overhead"})
      slot(name);
    for (std::size_t axis = 0; axis < placement_.size(); ++axis)
      slot(exposed(AxisMask{1} << axis));
  }

  // Of all classes of the trace. Times are summed up by operation first, and taken apart then.
  std::vector<Breakdown> breakdowns(const Trace& trace)
  {
    std::vector<Sums> all;
    for (const std::size_t stage : trace.stages) {
      Sums& own = all.emplace_back();
      for (const DeviceBlock& block : program_.program_of(stage).blocks)
        own.operations.emplace_back(block.operations.size());
    }
    each_record(trace, [&](const TraceRecord& record) {
      Sums& own                    = all[static_cast<std::size_t>(record.device_class)];
      const Stage& stage           = program_.stages[trace.stages[static_cast<std::size_t>(record.device_class)]];
      const auto block             = static_cast<std::size_t>(stage.steps[static_cast<std::size_t>(record.step)].block);
      const auto& operations       = program_.programs[stage.program].blocks[block].operations;
      const DeviceOperation& first = operations[static_cast<std::size_t>(record.operation)];
      std::vector<Spent>& row      = own.operations[block];
      if (first.asynchronous) {
        if (record.end > own.last_beside)
          own.beside = 0;
        own.beside = std::max(own.beside, first.collective.axes); // of those that end together any one, but the same
        own.last_beside = record.end;                             // records stand in the order in which they ended
        return;
      }
      if (record.start > record.ready)
        own.waits[record.waited_for].add(record.start - record.ready);
      own.last = record.end;
      if (record.operations == 1) {
        row[static_cast<std::size_t>(record.operation)].time.add(record.end - record.start);
        return;
      }
      for (std::size_t o = 0; o < row.size(); ++o)
        row[o].times += repetitions(record, static_cast<std::int32_t>(o), row.size());
    });
    std::vector<Breakdown> result;
    slot("optimizer");
    slot("idle");
    for (std::size_t c = 0; c < all.size(); ++c)
      result.push_back(breakdown(all[c], trace, c));
    return result;
  }

private:
  struct Spent {
    TimeSum time;           // of records of its own
    std::int64_t times = 0; // in records of several operations, of which each takes its known time
  };
  struct Sums {
    std::vector<std::vector<Spent>> operations; // by block
    std::map<AxisMask, TimeSum> waits;          // by what was waited for
    Seconds last;
    Seconds last_beside; // the end of the last asynchronous collective,
    AxisMask beside = 0; // and over which axes
  };

  Breakdown breakdown(const Sums& own, const Trace& trace, std::size_t device_class)
  {
    const std::size_t program = program_.stages[trace.stages[device_class]].program;
    const std::int64_t device = trace.classes[device_class].representative;
    const auto& durations     = timed_.durations(program, machine_.overrides.device(device));
    const Chip chip           = at_speed(machine_.chip, machine_.overrides.device(device));
    std::vector<double> by_slot;
    const auto add = [&](std::size_t name, Seconds time) {
      by_slot.resize(std::max(by_slot.size(), name + 1));
      by_slot[name] += time.value();
    };
    for (std::size_t b = 0; b < own.operations.size(); ++b)
      for (std::size_t o = 0; o < own.operations[b].size(); ++o) {
        const Spent& spent = own.operations[b][o];
        const Ticks alone  = durations[b][o];
        const Seconds time = spent.time.total() + to_seconds(static_cast<double>(alone * spent.times));
        if (time > Seconds(0))
          for (const auto& [name, share] : shares(program_.programs[program].blocks[b].operations[o],
                                                  timed_.programs[program][b][o].plan, alone, chip))
            add(name, time * share);
      }
    for (const auto& [axes, time] : own.waits)
      add(axes != 0 ? slot(exposed(axes)) : slot("idle"), time.total());
    const Seconds after = std::max(own.last_beside - own.last, Seconds(0)); // nothing left to run beside
    add(after > Seconds(0) ? slot(exposed(own.beside)) : slot("idle"), after);
    add(slot("idle"), trace.end - own.last - after);
    by_slot.resize(names_.size());
    Breakdown breakdown;
    for (std::size_t name = 0; name < names_.size(); ++name)
      breakdown.emplace_back(names_[name], Seconds(by_slot[name]));
    std::stable_sort(breakdown.begin(), breakdown.end(),
                     [](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
    return breakdown;
  }

  // How often an operation of a row of `size` occurs in a record of several.
  static std::int32_t repetitions(const TraceRecord& record, std::int32_t operation, std::size_t size)
  {
    const auto row  = static_cast<std::int32_t>(size);
    const auto upto = [&](std::int32_t places) { return places / row + (places % row > operation ? 1 : 0); };
    return upto(record.operation + record.operations) - upto(record.operation);
  }

  static int rank(const std::string& name)
  {
    return name == "optimizer" ? 2 : name == "idle" ? 3 : name.starts_with("exposed") ? 1 : 0;
  }

  std::size_t slot(const std::string& name)
  {
    const auto known = std::find(names_.begin(), names_.end(), name);
    if (known != names_.end())
      return static_cast<std::size_t>(known - names_.begin());
    names_.push_back(name);
    return names_.size() - 1;
  }

  // Of mesh axes on links of several kinds, the slowest: the DCN, then the torus or the node.
  std::string exposed(AxisMask axes) const
  {
    std::string link = "ici";
    for (std::size_t axis = 0; axis < machine_.lattice.axes.size(); ++axis)
      if (axes_on(link_name(machine_.lattice.axes[axis]), axes, placement_, machine_) != 0)
        link = link_name(machine_.lattice.axes[axis]);
    return "exposed_" + link + "_" + program_.mesh.names(axes);
  }

  // What an operation's time is spent on; shares sum to 1. `alone`: how long it takes by itself on this chip.
  std::vector<std::pair<std::size_t, double>> shares(const DeviceOperation& operation, const Plan& plan, Ticks alone,
                                                     const Chip& chip)
  {
    std::vector<std::pair<std::size_t, double>> result;
    if (operation.kind == DeviceOperation::Kind::collective) {
      for (const auto& [link, share] : link_shares(plan, machine_)) {
        const AxisMask axes = axes_on(link, operation.collective.axes, placement_, machine_);
        result.emplace_back(slot("exposed_" + link + "_" + program_.mesh.names(axes)), share);
      }
      return result;
    }
    if (operation.kind != DeviceOperation::Kind::compute)
      return {{slot(exposed(AxisMask{1} << program_.pipeline.value())), 1.0}};
    if (operation.pass == Pass::update)
      return {{slot("optimizer"), 1.0}};
    const OperationTime units = operation_time(operation.work, chip);
    const double fixed        = // with what collectives beside it cost; whole ticks add up exactly
        std::min(1.0, static_cast<double>(to_ticks(units.fixed) + alone - to_ticks(units.total())) /
                          static_cast<double>(alone));
    const bool matrix = units.matrix >= units.hbm && units.matrix >= units.vector;
    result.emplace_back(slot("overhead"), fixed);
    result.emplace_back(slot(matrix ? "matrix_unit" : units.hbm >= units.vector ? "hbm" : "vector_unit"), 1 - fixed);
    return result;
  }

  const ShardedProgram& program_;
  const TimedProgram& timed_;
  const Machine& machine_;
  const Placement& placement_;
  std::vector<std::string> names_;
};

Seconds sum_named(const Breakdown& breakdown, const std::string& name)
{
  for (const auto& [known, time] : breakdown)
    if (known == name)
      return time;
  return Seconds(0);
}

// Calls f(operation, timed, times) for each operation of a stage with how often the step runs it.
template <class F>
void each_operation(const ShardedProgram& program, const TimedProgram& timed, std::size_t stage, const F& f)
{
  const DeviceProgram& device = program.program_of(stage);
  std::vector<double> times(device.blocks.size());
  for (const Step& step : program.stages[stage].steps)
    times[static_cast<std::size_t>(step.block)] += step.count;
  for (std::size_t b = 0; b < device.blocks.size(); ++b)
    for (std::size_t o = 0; o < device.blocks[b].operations.size(); ++o)
      f(device.blocks[b].operations[o], timed.programs[program.stages[stage].program][b][o], times[b]);
}

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
        };
        for (const PlanPart& part : own.plan.parts)
          for (const RingPhase& phase : part)
            add(phase.factor.axis, traffic(phase));
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

// Of the stage that sends most over each.
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
      if (by_axis[axis].busy > most.busy)
        most = by_axis[axis];
    if (own.kind == AxisKind::dcn)
      most.busy = busiest_nic(by_stage, program, machine, placement);
    links.push_back({own.kind == AxisKind::ici ? "ici_" + own.name : own.name, most.sent,
                     to_seconds(static_cast<double>(most.busy)) / step});
  }
  std::sort(links.begin(), links.end(), [](const LinkUse& a, const LinkUse& b) { return a.name < b.name; });
  return links;
}

// Over all all-to-alls of a step: what the tightest cut of the torus needs, over how long they take.
std::optional<double> bisection_use(const ShardedProgram& program, const TimedProgram& timed)
{
  double cut = 0;
  double all = 0;
  for (std::size_t stage = 0; stage < program.stages.size(); ++stage)
    each_operation(program, timed, stage, [&](const DeviceOperation&, const TimedOperation& own, double times) {
      Ticks tightest = 0;
      for (const PlanPart& part : own.plan.parts)
        for (const RingPhase& phase : part)
          tightest = std::max(tightest, phase.cut_time);
      if (tightest == 0)
        return;
      cut += static_cast<double>(tightest) * times;
      all += static_cast<double>(own.duration) * times;
    });
  return all > 0 ? std::optional(cut / all) : std::nullopt;
}

bool over_dcn(const Plan& plan)
{
  return std::any_of(plan.parts.begin(), plan.parts.end(), [](const PlanPart& part) {
    return std::any_of(part.begin(), part.end(), [](const RingPhase& phase) { return phase.link == AxisKind::dcn; });
  });
}

// What all devices send across pods in collectives, over the time that these take; of the first class.
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
  each_record(trace, [&](const TraceRecord& record) {
    if (record.device_class != 0)
      return;
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
      for (const PlanPart& part : plan.parts)
        for (const RingPhase& phase : part)
          if (phase.link == AxisKind::dcn)
            sent += traffic(phase).sent * static_cast<double>(machine.devices());
      for (const auto& [link, share] : link_shares(plan, machine))
        time += (one.end - one.start) * (link == "dcn" ? share : 0);
    }
  });
  return time > Seconds(0) ? sent / time : BytesPerSecond(0);
}

// Mean over all that ran of one iteration of a role's block, from the start of a step's first operation to the end of
// its last. An asynchronous operation does not stand in the device's order and is not of the block's time.
std::optional<Seconds> layer_time(const Trace& trace, const ShardedProgram& program, BlockRole role)
{
  std::map<std::pair<std::int32_t, std::int32_t>, std::pair<Seconds, Seconds>> spans; // by class and step
  double iterations = 0;
  each_record(trace, [&](const TraceRecord& record) {
    const std::size_t stage      = trace.stages[static_cast<std::size_t>(record.device_class)];
    const Step& step             = program.stages[stage].steps[static_cast<std::size_t>(record.step)];
    const DeviceBlock& block     = program.program_of(stage).blocks[static_cast<std::size_t>(step.block)];
    const DeviceOperation& first = block.operations[static_cast<std::size_t>(record.operation)];
    const bool transfer          = block.operations.front().kind == DeviceOperation::Kind::send ||
                          block.operations.front().kind == DeviceOperation::Kind::receive;
    if (block.role != role || transfer || first.asynchronous)
      return;
    const auto [at, fresh] = spans.try_emplace({record.device_class, record.step}, std::pair(record.start, record.end));
    at->second             = {std::min(at->second.first, record.start), std::max(at->second.second, record.end)};
    iterations += fresh ? step.count : 0;
  });
  if (spans.empty())
    return {};
  Seconds sum;
  for (const auto& [key, span] : spans)
    sum += span.second - span.first;
  return sum / iterations;
}

// Calls f(block, times) for each block of a program with how often a step runs it: each virtual stage its own layers
// for each micro-batch.
template <class F> void each_block(const Program& program, const F& f)
{
  const Pipeline& pipeline = program.pipeline;
  for (std::size_t stage = 0; stage < program.program_of.size(); ++stage) {
    std::int64_t layers = 0;
    for (std::size_t piece = stage; piece < pipeline.layers.size(); piece += program.program_of.size())
      layers += pipeline.layers[piece];
    for (const Block& block : program.programs[program.program_of[stage]].blocks) {
      const bool repeats = block.role == BlockRole::layers || block.role == BlockRole::layers_backward;
      const bool once    = block.role == BlockRole::update;
      f(block, static_cast<double>((repeats ? layers : 1) * (once ? 1 : pipeline.micro_batches)));
    }
  }
}

// Of the device that executes most, over what its peak allows in the step.
double device_use(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine, const Trace& trace,
                  Seconds step)
{
  std::map<std::size_t, Flops> executed; // by program: its stages execute the same
  double most = 0;
  for (std::size_t c = 0; c < trace.classes.size(); ++c) {
    const std::size_t stage   = trace.stages[c];
    const auto [at, missing]  = executed.try_emplace(program.stages[stage].program);
    Flops& own                = at->second;
    if (missing)
      each_operation(program, timed, stage, [&](const DeviceOperation& op, const TimedOperation&, double times) {
        own += op.work.matrix.flops() * times;
      });
    const Chip chip = at_speed(machine.chip, machine.overrides.device(trace.classes[c].representative));
    most            = std::max(most, own / chip.matrix_peak / step);
  }
  return most;
}

// The kept ones are those that the program has slots for: what a product sends to the experts, rows that have an
// expert and a place in its capacity where the tokens had none.
std::optional<Routing> routing(const Program& program)
{
  const ModelShape& m = program.model;
  if (m.expert_layers == 0)
    return {};
  double slots = 0;
  each_block(program, [&](const Block& block, double times) {
    for (const Operation& operation : block.operations) {
      if (operation.kind != OperationKind::einsum || operation.pass != Pass::forward)
        continue;
      const Tensor& sent = block.tensor(operation.outputs.at(0).tensor);
      if (sent.size(Dim::embed) > 1 && has(sent, Dim::capacity) &&
          !has(block.tensor(operation.inputs.at(0).tensor), Dim::capacity))
        slots += sent.elements() / static_cast<double>(sent.size(Dim::embed)) * times;
    }
  });
  const double choices = program.tokens_per_step * static_cast<double>(m.top_k * m.expert_layers);
  return Routing{choices, std::min(slots, choices), choices * m.dropped};
}

} // namespace

double FlopsPerToken::counted(Counting counting) const
{
  switch (counting) {
  case Counting::none:
  case Counting::slowest_stage:
    return 0;
  case Counting::palm:
    return model();
  case Counting::palm_hardware:
    return hardware();
  case Counting::six_n:
    return weights;
  case Counting::six_n_causal:
    return weights + attention / 2;
  case Counting::palm_without_lookup:
    return model() - lookup;
  case Counting::six_n_without_lookup:
    return weights - lookup;
  case Counting::six_n_causal_without_lookup:
    return weights - lookup + attention / 2;
  case Counting::executed:
    return executed;
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
  flops_of.weights   = 6 * m.active_parameters;
  flops_of.lookup    = 6 * m.lookup_parameters;
  flops_of.attention = 12.0 * static_cast<double>(m.layers * m.heads * m.head_dim * m.sequence);
  const auto layers  = static_cast<double>(m.layers);
  const auto width   = static_cast<double>(m.d_model);
  if (width > 0)
    flops_of.narayanan =
        96 * layers * width * width *
        (1 + static_cast<double>(m.sequence) / (6 * width) + static_cast<double>(m.vocab) / (16 * layers * width));
  each_block(program, [&](const Block& block, double times) {
    for (const Operation& operation : block.operations) {
      if (operation.pass == Pass::recompute)
        flops_of.repeated += flops(block, operation) * times / program.tokens_per_step;
      const double executed = executed_flops(block, operation);
      flops_of.executed += executed * times / program.tokens_per_step;
      if (operation.kind == OperationKind::fused_attention)
        flops_of.skipped += (flops(block, operation) - executed) * times / program.tokens_per_step;
    }
  });
  return flops_of;
}

double waiting_for_slower_pods(double scale, std::int64_t pods)
{
  double sum = 0;
  for (std::int64_t pod = 2; pod <= pods; ++pod)
    sum += 1 / static_cast<double>(pod);
  return scale * sum;
}

namespace {

// Of so many FLOPs a token. The one place where it is worked out: another order of the same factors gives other bits.
double utilisation(const Metrics& metrics, double flops)
{
  return metrics.tokens_per_s * flops / (metrics.peak * metrics.chips).value();
}

} // namespace

Metrics measure(const Program& program, const ShardedProgram& sharded, const TimedProgram& timed,
                const Machine& machine, const Placement& placement, const Trace& trace)
{
  Metrics metrics;
  const Seconds waiting         = program.tokens_per_step > 0 // a micro-benchmark is no step
                                      ? trace.end * waiting_for_slower_pods(machine.pod_spread, machine.pods())
                                      : Seconds(0);
  metrics.step_time             = trace.end + waiting;
  metrics.tokens_per_step       = program.tokens_per_step;
  metrics.tokens_per_s          = program.tokens_per_step / metrics.step_time.value();
  metrics.model                 = program.model;
  metrics.flops                 = flops_per_token(program);
  metrics.chips                 = static_cast<double>(machine.chips());
  metrics.peak                  = machine.chip.matrix_peak * static_cast<double>(machine.chip.devices);
  metrics.mfu                   = utilisation(metrics, metrics.flops.model());
  metrics.mfu_without_attention = utilisation(metrics, metrics.flops.weights);
  metrics.hfu                   = utilisation(metrics, metrics.flops.executed);
  metrics.device_use            = device_use(sharded, timed, machine, trace, metrics.step_time);
  metrics.routing               = routing(program);

  metrics.breakdowns = Account(sharded, timed, machine, placement).breakdowns(trace);
  for (std::size_t c = 0; c < metrics.breakdowns.size(); ++c) {
    const Seconds idle = sum_named(metrics.breakdowns[c], "idle");
    if (idle < sum_named(metrics.breakdowns[metrics.critical], "idle"))
      metrics.critical = c;
    if (waiting > Seconds(0))
      metrics.breakdowns[c].emplace_back("slower_pods", waiting);
    metrics.bubble += idle / metrics.step_time * static_cast<double>(trace.classes[c].devices) /
                      static_cast<double>(machine.devices());
  }
  metrics.layer_forward  = layer_time(trace, sharded, BlockRole::layers);
  metrics.layer_backward = layer_time(trace, sharded, BlockRole::layers_backward);
  metrics.dcn_burst      = burst(sharded, timed, trace, machine);
  metrics.bisection      = bisection_use(sharded, timed);
  metrics.links          = link_use(sharded, timed, machine, placement, metrics.step_time);
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
    return utilisation(metrics, flops);
  case Metric::tflops_per_chip:
    return rate;
  case Metric::layer_forward_time:
    return number(metrics.layer_forward);
  case Metric::layer_backward_time:
    return number(metrics.layer_backward);
  case Metric::bubble:
    if (counting == Counting::slowest_stage)
      return sum_named(metrics.breakdowns.at(metrics.critical), "idle") / metrics.step_time;
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
