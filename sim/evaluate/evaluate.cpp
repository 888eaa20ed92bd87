#include "sim/evaluate/evaluate.hpp"

#include "sim/evaluate/feasibility.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <optional>

namespace podsim {
namespace {

std::string mesh_text(const Scenario& scenario)
{
  std::string text;
  for (std::size_t i = 0; i < scenario.mesh.axes.size(); ++i)
    text += fmt::format("{}{} {} on {}", text.empty() ? "" : "; ", scenario.mesh.axes[i].name,
                        scenario.mesh.axes[i].size, podsim::describe(scenario.placement[i], scenario.machine));
  return scenario.micro_benchmark() ? text : fmt::format("{}; sharding {}", text, scenario.training().sharding.name);
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

Supply supply_of(const Machine& machine)
{
  const Chip& chip = machine.chip;
  return {.chip           = chip.power ? std::optional(*chip.power * static_cast<double>(chip.devices)) : std::nullopt,
          .pue            = machine.pue,
          .grid_intensity = machine.grid_intensity};
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

Evaluation describe(const Prepared& prepared, PreparedBefore* before)
{
  const Scenario& s = prepared.scenario;
  Evaluation result;
  result.scenario         = s.name;
  result.hash             = s.hash;
  const std::string cores = s.machine.chip.devices > 1 ? fmt::format(" of {} cores", s.machine.chip.devices) : "";
  result.machine  = fmt::format("{} {} chips{}, {}{}", s.machine.chips(), s.machine.chip.name, cores, s.machine.shape(),
                               s.software.name.empty() ? "" : "; " + s.software.name);
  result.mesh     = mesh_text(s);
  result.device   = s.machine.device_word();
  result.capacity = capacity_of(s.machine.chip);
  result.published = s.published;
  result.constants = s.constants;
  result.files     = s.files;
  result.chip      = s.machine.chip.name;
  result.supply    = supply_of(s.machine);
  result.foreign   = foreign_constants(s);
  if (const MicroBenchmark* benchmark = s.micro_benchmark()) {
    result.model = benchmark->description;
    return result;
  }
  result.model =
      fmt::format("{}, {}, {:.2f}e9 parameters; {} sequences of {} tokens a step; {}, remat {}",
                  s.training().model.name, s.training().model.encoder ? "encoder" : "decoder",
                  prepared.program.model.parameters / 1e9, s.training().step.batch, s.training().step.sequence,
                  s.training().step.optimizer.name, s.training().step.remat_name);
  if (const ModelShape& shape = prepared.program.model; shape.expert_layers > 0)
    result.experts = {s.training().model.experts.count, shape.top_k, shape.dropped};
  result.memory = memory_of_chip(prepared);
  for (const PointwiseKind* kind : kinds_of(prepared.program))
    result.constants.push_back({"program.pointwise." + kind->name,
                                kind->describe(),
                                "counted from the arithmetic, see sim/program/pointwise.hpp",
                                {}});
  if (auto why = refusal(prepared, *result.memory, before))
    result.refuse(std::move(*why));
  return result;
}

namespace {

// The healthy machine's step where it is soon simulated.
std::optional<Seconds> quick_step(const Prepared& prepared, const SimulationOptions& options)
{
  constexpr Seconds quick{2};
  const Scenario& s           = prepared.scenario;
  Machine machine             = s.machine;
  machine.overrides           = {};
  SimulationOptions quiet     = options;
  quiet.progress              = {};
  quiet.explicit_devices      = false;
  const DeviceClasses classes = classes_on(machine, prepared);
  const auto count            = static_cast<std::int64_t>(classes.classes.size());
  const TimedProgram timed =
      time_program(prepared.sharded, machine, s.placement, s.software.collectives, quiet.granularity);
  if (serial_time(prepared) > longest_step || simulation_estimate(count, prepared.sharded, timed) > quick)
    return std::nullopt;
  return measure_on(machine, classes, prepared, quiet).metrics.step_time;
}

} // namespace

Evaluation evaluate(const Prepared& prepared, const EvaluationOptions& options)
{
  Evaluation result = describe(prepared, options.before);
  if (result.status == Status::memory && options.times_remedies)
    result.refuse(lacks_memory(
        prepared, *result.memory,
        [&](const Scenario& changed) { return quick_step(prepare(changed), options.simulation); }, options.before));
  if (result.status != Status::ok)
    return result;
  const Scenario& s    = prepared.scenario;
  const auto started   = std::chrono::steady_clock::now();
  Faulty all           = measure_faulty(s.machine, prepared, options.simulation);
  const Course& course = all.measured.course;
  if (course.end > longest_step) {
    result.refuse(too_long(course.end));
    return result;
  }
  if (!s.faults.empty())
    result.faults = fault_report(all, prepared, options.simulation, options.announce);
  result.simulation = {.chips                  = s.machine.chips(),
                       .devices                = s.machine.devices(),
                       .classes                = course.simulated_classes,
                       .activities             = course.activities,
                       .repeated_layers        = course.repeated_layers,
                       .repeated_micro_batches = course.repeated_micro_batches,
                       .folded                 = !options.simulation.explicit_devices,
                       .chunked                = course.chunked,
                       .fold_stopped           = course.fold_stopped,
                       .by_recurrence          = course.by_recurrence,
                       .granularity            = options.simulation.granularity,
                       .engine                 = options.simulation.engine.name,
                       .wall                   = {},
                       .class_list             = course.classes};
  result.metrics    = std::move(all.measured.metrics);
  if (const MicroBenchmark* benchmark = s.micro_benchmark())
    add_achieved(*benchmark, s.mesh, *result.metrics);
  result.energy_per_token = energy_per_token(result.supply.chip, *result.metrics);
  result.simulation.wall  = Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  return result;
}

Evaluation evaluate(const Scenario& scenario, const EvaluationOptions& options)
{
  return evaluate(prepare(scenario, options.before), options);
}

} // namespace podsim
