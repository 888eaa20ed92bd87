#include "sim/app/pipeline.hpp"

#include "sim/app/remedies.hpp"
#include "sim/engine/symmetry.hpp"
#include "sim/metrics/possible.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <optional>
#include <set>

namespace podsim {
namespace {

std::string mesh_text(const Scenario& scenario)
{
  std::string text;
  for (std::size_t i = 0; i < scenario.mesh.axes.size(); ++i)
    text += fmt::format("{}{} {} on {}", text.empty() ? "" : "; ", scenario.mesh.axes[i].name,
                        scenario.mesh.axes[i].size, podsim::describe(scenario.placement[i], scenario.machine));
  return scenario.micro_benchmark ? text : fmt::format("{}; sharding {}", text, scenario.sharding.name);
}

// The element-wise operations that a program has: how often they pass over HBM is an assumption like the constants of
// the catalogue.
std::vector<const PointwiseKind*> kinds_of(const Program& program)
{
  std::vector<const PointwiseKind*> kinds;
  for (const StageProgram& stage : program.programs)
    for (const Block& block : stage.blocks)
      for (const Operation& operation : block.operations)
        if (operation.pointwise && std::find(kinds.begin(), kinds.end(), operation.pointwise) == kinds.end())
          kinds.push_back(operation.pointwise);
  return kinds;
}

// What a chip draws with its share of the system, in watts, where its file says so.
std::optional<double> chip_power(const Chip& chip)
{
  return chip.power ? std::optional(chip.power->value() * static_cast<double>(chip.devices)) : std::nullopt;
}

// A micro-benchmark is a program of one operation on every device.
Prepared prepare_micro_benchmark(Scenario scenario)
{
  DeviceBlock block{
      .name = "micro-benchmark", .operations = {scenario.micro_benchmark->operation}, .buffers = {}, .saved = {}};
  ShardedProgram sharded;
  sharded.mesh     = scenario.mesh;
  sharded.programs = {{{std::move(block)}, {}}};
  sharded.stages   = {{0, {{0, 1}}}};
  return {std::move(scenario), Program{}, std::move(sharded)};
}

// What the one operation has reached: a collective by NCCL's bus bandwidth, which counts what each device must send.
void add_achieved(const MicroBenchmark& benchmark, const Mesh& mesh, Metrics& metrics)
{
  const DeviceOperation& op = benchmark.operation;
  if (op.work.matrix.flops() > Flops(0)) {
    metrics.achieved_flops = op.work.matrix.flops() / metrics.step_time;
  } else if (op.kind == DeviceOperation::Kind::compute) {
    metrics.achieved_bandwidth = op.work.hbm / metrics.step_time;
  } else {
    const auto n               = static_cast<double>(mesh.size(op.collective.axes));
    const double times         = op.collective.kind == CollectiveKind::all_reduce ? 2 : 1;
    metrics.achieved_bandwidth = op.collective.full * (times * (n - 1) / n) / metrics.step_time;
  }
}

} // namespace

Prepared prepare(Scenario scenario)
{
  if (scenario.micro_benchmark)
    return prepare_micro_benchmark(std::move(scenario));
  const Workload& work   = scenario.workload;
  const double tokens    = static_cast<double>(work.batch) * static_cast<double>(work.sequence);
  Program program        = training_step(forward_pass(scenario.model, work.batch / scenario.pipeline.micro_batches,
                                                      work.sequence, scenario.software.precision),
                                         work.remat, work.optimizer, scenario.software.precision, scenario.pipeline, tokens);
  ShardedProgram sharded = partition(program, scenario.mesh, scenario.sharding, scenario.software.compilation);
  return {std::move(scenario), std::move(program), std::move(sharded)};
}

Memory memory_of_chip(const Prepared& prepared)
{
  return memory(prepared.sharded).times(static_cast<double>(prepared.scenario.machine.chip.devices));
}

Bytes capacity_of(const Chip& chip)
{
  return chip.hbm_capacity * static_cast<double>(chip.devices);
}

TimedProgram timed_program(const Prepared& prepared, Granularity granularity)
{
  const Scenario& s = prepared.scenario;
  return time_program(prepared.sharded, s.machine, s.placement, s.software.multi_axis, granularity);
}

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

namespace {

// What is slow makes a step at most as much longer as if all of it were, and mostly far less: that is known when it has
// been simulated, if only the ticks of a sum can be counted (2^63 are 97 days).
constexpr Seconds longest_sum{1e6};

void refuse_time(Result& result, Seconds time)
{
  result.status = "time";
  result.reason =
      fmt::format("a step would take about {:.3g} h, more than the {:.2g} h that the simulator's clock holds",
                  time / Seconds(3600), longest_step / Seconds(3600));
}

std::vector<ForeignConstant> foreign_constants(const Scenario& scenario)
{
  std::vector<ForeignConstant> foreign;
  for (const UsedConstant& constant : scenario.constants)
    if (!constant.chips.empty() &&
        std::none_of(constant.chips.begin(), constant.chips.end(),
                     [&](const std::string& name) { return is_chip(scenario.machine.chip.name, name); }))
      foreign.push_back({constant.path, fmt::format("{}", fmt::join(constant.chips, ", "))});
  return foreign;
}

} // namespace

namespace {

std::string lacks_memory(const Prepared& prepared, const TimeStep& time)
{
  const Bytes needed = memory_of_chip(prepared).total();
  const Bytes there  = capacity_of(prepared.scenario.machine.chip);
  return fmt::format("needs {} a chip, {} more than its {}; {}", format(needed), format(needed - there), format(there),
                     remedies(prepared, time));
}

} // namespace

Result describe(const Prepared& prepared)
{
  const Scenario& s = prepared.scenario;
  Result result;
  result.scenario  = s.name;
  result.hash      = s.hash;
  result.machine   = fmt::format("{} {} chips, {}{}", s.machine.chips(), s.machine.chip.name, s.machine.shape(),
                               s.software.name.empty() ? "" : "; " + s.software.name);
  result.mesh      = mesh_text(s);
  result.device    = s.machine.device_word();
  result.capacity  = capacity_of(s.machine.chip);
  result.published = s.published;
  result.constants = s.constants;
  result.files     = s.files;
  result.chip      = s.machine.chip.name;
  result.foreign   = foreign_constants(s);
  if (s.micro_benchmark) {
    result.model = s.micro_benchmark->description;
    return result;
  }
  result.model =
      fmt::format("{}, {}, {:.2f}e9 parameters; {} sequences of {} tokens a step; {}, remat {}", s.model.name,
                  s.model.encoder ? "encoder" : "decoder", prepared.program.model.parameters / 1e9, s.workload.batch,
                  s.workload.sequence, s.workload.optimizer.name, s.workload.remat_name);
  if (const ModelShape& shape = prepared.program.model; shape.expert_layers > 0)
    result.experts = {s.model.experts.count, shape.top_k, shape.dropped};
  result.memory = memory_of_chip(prepared);
  for (const PointwiseKind* kind : kinds_of(prepared.program))
    result.constants.push_back({"program.pointwise." + kind->name,
                                kind->describe(),
                                "counted from the arithmetic, see sim/program/pointwise.hpp",
                                {}});
  if (result.memory->total() > result.capacity) {
    result.status = "memory";
    result.reason = lacks_memory(prepared, [](const Prepared&) { return std::optional<Seconds>(); });
  } else if (const Seconds time = serial_time(prepared); time > longest_step) {
    refuse_time(result, time);
  } else if (const Seconds slowed = time / s.machine.overrides.slowest(); slowed > longest_sum) {
    refuse_time(result, slowed);
  }
  return result;
}

namespace {

// What is simulated within that time is simulated as it is, and not bounded.
constexpr Seconds affordable{30};

// Where faults put devices out of step, a collective over several rings that is one event begins for all of its group
// when the last of them is there, and not ring by ring. By chunks the step is shorter, by less than this share of it in
// all of some thousand random cases.
constexpr double groups_cost_at_most = 1e-5;

bool waits_for_groups(const ShardedProgram& program, const TimedProgram& timed, const Trace& trace)
{
  const auto several = [](const TimedOperation& operation) {
    std::size_t phases = 0;
    for (const PlanPart& part : operation.plan.parts)
      phases = std::max(phases, part.size());
    return !operation.chunked && !operation.plan.exchange && phases > 1;
  };
  return trace.classes.size() > program.stages.size() &&
         std::any_of(timed.programs.begin(), timed.programs.end(), [&](const TimedBlocks& blocks) {
           return std::any_of(blocks.begin(), blocks.end(),
                              [&](const auto& block) { return std::any_of(block.begin(), block.end(), several); });
         });
}

struct Measured {
  Trace trace;
  Metrics metrics;
  bool waits_for_groups = false;
};

// The scenario's step on a machine with other faults.
Measured measure_on(const Machine& machine, const Prepared& prepared, const SimulationOptions& options,
                    bool slow_links_by_chunks)
{
  const Scenario& s        = prepared.scenario;
  const TimedProgram timed = time_program(prepared.sharded, machine, s.placement, s.software.multi_axis,
                                          options.granularity, slow_links_by_chunks);
  Measured measured{simulate(prepared.sharded, timed, machine, s.placement, options), {}, false};
  measured.waits_for_groups = waits_for_groups(prepared.sharded, timed, measured.trace);
  measured.metrics          = measure(prepared.program, prepared.sharded, timed, machine, s.placement, measured.trace);
  check_possible(measured.metrics, s.hash);
  return measured;
}

// So many classes are simulated within it.
std::int64_t affordable_classes(const Machine& machine, const Prepared& prepared, const SimulationOptions& options,
                                bool slow_links_by_chunks)
{
  const Scenario& s = prepared.scenario;
  Machine probe     = machine; // what is done, and in which parts, is the same whatever the speeds of devices
  if (!probe.overrides.devices.empty())
    probe.overrides.devices = {*probe.overrides.devices.begin()};
  const TimedProgram timed = time_program(prepared.sharded, probe, s.placement, s.software.multi_axis,
                                          options.granularity, slow_links_by_chunks);
  std::int64_t least       = 0;
  for (std::int64_t most = machine.devices() + 1; most - least > 1;) {
    const std::int64_t between                                                          = least + (most - least) / 2;
    (simulation_estimate(between, prepared.sharded, timed) > affordable ? most : least) = between;
  }
  return least;
}

// Exact where that is affordable, else a bound from above, and how far below it the step may be.
struct Faulty {
  Measured measured;
  std::string bound;
  Seconds at_least;
};

Faulty measure_faulty(Machine machine, const Prepared& prepared, const SimulationOptions& options)
{
  if (machine.overrides.empty())
    return {measure_on(machine, prepared, options, true), {}, {}};
  const Scenario& s   = prepared.scenario;
  const auto too_long = [&](const Machine& on, bool by_chunks) {
    const std::int64_t most = affordable_classes(on, prepared, options, by_chunks);
    std::set<Speed> speeds; // each of which makes a class at least, which is sooner seen than all of them told apart
    for (const auto& [device, speed] : on.overrides.devices)
      speeds.insert(speed);
    return static_cast<std::int64_t>(speeds.size()) > most ||
           static_cast<std::int64_t>(fold(on, s.placement, prepared.sharded.pipeline).classes.size()) > most;
  };
  if (options.explicit_devices || !too_long(machine, true)) {
    Faulty exact{measure_on(machine, prepared, options, true), {}, {}};
    if (options.granularity == Granularity::automatic && exact.measured.waits_for_groups) {
      exact.bound    = "collectives over several axes begin when all of their group are there";
      exact.at_least = exact.measured.metrics.step_time * (1 - groups_cost_at_most);
    }
    return exact;
  }
  Machine below = machine;
  Faulty result;
  bool by_chunks = false;
  if (!too_long(machine, false)) {
    result.bound = "collectives over slow links end for all when they do for the last";
    std::erase_if(below.overrides.links, [](const auto& link) { return link.second > 0; });
  } else {
    result.bound      = "all that only faults tell apart is as slow as the slowest of it";
    below.overrides   = worst_only(machine);
    machine.overrides = worst_everywhere(machine, s.placement, prepared.sharded.pipeline);
    by_chunks         = !too_long(machine, true);
    if (too_long(below, false))
      below.overrides = {}; // the healthy machine is no slower, either
  }
  result.measured = measure_on(machine, prepared, options, by_chunks);
  result.at_least = measure_on(below, prepared, options, false).metrics.step_time;
  return result;
}

// What each fault costs by itself. Equal ones at places like each other are simulated once.
std::vector<FaultCost> costs(const Prepared& prepared, const SimulationOptions& options, const Announce& announce)
{
  const Scenario& s = prepared.scenario;
  std::vector<Overrides> kinds;
  std::vector<std::size_t> kind_of;
  for (const Fault& fault : s.faults) {
    Overrides effect = shifted_to_start(fault.effect, s.machine, s.placement, prepared.sharded.pipeline);
    const auto known = std::find_if(kinds.begin(), kinds.end(), [&](const Overrides& kind) {
      return kind.devices == effect.devices && kind.links == effect.links && kind.hosts == effect.hosts;
    });
    kind_of.push_back(static_cast<std::size_t>(known - kinds.begin()));
    if (known == kinds.end())
      kinds.push_back(std::move(effect));
  }
  const auto started = std::chrono::steady_clock::now();
  Machine machine    = s.machine;
  std::vector<FaultCost> found;
  for (const Overrides& effect : kinds) {
    machine.overrides = effect;
    const Metrics one = measure_faulty(machine, prepared, options).measured.metrics;
    found.push_back({"", one.step_time, one.mfu});
    const Seconds first(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
    if (found.size() == 1 && announce)
      announce(fmt::format("simulating {} faults one by one", kinds.size()),
               first * static_cast<double>(kinds.size() - 1));
  }
  std::vector<FaultCost> all;
  for (std::size_t i = 0; i < s.faults.size(); ++i) {
    all.push_back(found[kind_of[i]]);
    all.back().name = s.faults[i].name;
  }
  return all;
}

FaultReport fault_report(const Faulty& all, const Prepared& prepared, const SimulationOptions& options,
                         const Announce& announce)
{
  const Scenario& s         = prepared.scenario;
  SimulationOptions quiet   = options;
  quiet.progress            = {};
  Machine machine           = s.machine;
  machine.overrides         = {};
  const Metrics healthy     = measure_on(machine, prepared, quiet, true).metrics;
  const DeviceClass slowest = all.measured.trace.classes[all.measured.metrics.critical];
  FaultReport report{healthy.step_time, healthy.mfu, {}, {slowest.devices, s.machine.describe(slowest.representative)},
                     all.bound,         all.at_least};
  if (s.faults.size() == 1)
    report.each.push_back({s.faults.front().name, all.measured.metrics.step_time, all.measured.metrics.mfu});
  else
    report.each = costs(prepared, quiet, announce);
  return report;
}

// The healthy machine's step where it is soon simulated.
std::optional<Seconds> quick_step(const Prepared& prepared, const SimulationOptions& options)
{
  constexpr Seconds quick{2};
  const Scenario& s       = prepared.scenario;
  Machine machine         = s.machine;
  machine.overrides       = {};
  SimulationOptions quiet = options;
  quiet.progress          = {};
  quiet.explicit_devices  = false;
  const auto classes = static_cast<std::int64_t>(fold(machine, s.placement, prepared.sharded.pipeline).classes.size());
  const TimedProgram timed =
      time_program(prepared.sharded, machine, s.placement, s.software.multi_axis, quiet.granularity);
  if (serial_time(prepared) > longest_step || simulation_estimate(classes, prepared.sharded, timed) > quick)
    return std::nullopt;
  return measure_on(machine, prepared, quiet, true).metrics.step_time;
}

} // namespace

Result run(const Prepared& prepared, const SimulationOptions& options, const Announce& announce)
{
  Result result = describe(prepared);
  if (result.status == "memory" && !options.in_process)
    result.reason = lacks_memory(prepared, [&](const Prepared& changed) { return quick_step(changed, options); });
  if (result.status != "ok")
    return result;
  const Scenario& s      = prepared.scenario;
  const auto started     = std::chrono::steady_clock::now();
  SimulationOptions each = options;
  each.in_process        = options.in_process && s.faults.empty(); // what faults cost takes several simulations
  Faulty all             = measure_faulty(s.machine, prepared, each);
  const Trace& trace     = all.measured.trace;
  if (trace.end > longest_step) {
    refuse_time(result, trace.end);
    return result;
  }
  if (!s.faults.empty())
    result.faults = fault_report(all, prepared, each, announce);
  result.simulation = {.chips                  = s.machine.chips(),
                       .devices                = s.machine.devices(),
                       .classes                = trace.simulated_classes,
                       .activities             = trace.activities,
                       .repeated_layers        = trace.repeated_layers,
                       .repeated_micro_batches = trace.repeated_micro_batches,
                       .folded                 = !options.explicit_devices,
                       .chunked                = trace.chunked,
                       .fold_stopped           = trace.fold_stopped,
                       .granularity            = options.granularity,
                       .wall                   = {},
                       .class_list             = trace.classes};
  result.metrics    = std::move(all.measured.metrics);
  if (s.micro_benchmark)
    add_achieved(*s.micro_benchmark, s.mesh, *result.metrics);
  result.energy_per_token = energy_per_token(chip_power(s.machine.chip), *result.metrics);
  result.simulation.wall  = Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  return result;
}

} // namespace podsim
