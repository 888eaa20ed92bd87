#include "sim/app/pipeline.hpp"

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
                        scenario.mesh.axes[i].size, podsim::describe(scenario.placement[i]));
  return fmt::format("{}; sharding {}", text, scenario.sharding.name);
}

// The element-wise operations that a program has: how often they pass over HBM is an assumption like the constants of
// the catalogue.
std::vector<const PointwiseKind*> kinds_of(const Program& program)
{
  std::vector<const PointwiseKind*> kinds;
  for (const Block& block : program.blocks)
    for (const Operation& operation : block.operations)
      if (operation.pointwise && std::find(kinds.begin(), kinds.end(), operation.pointwise) == kinds.end())
        kinds.push_back(operation.pointwise);
  return kinds;
}

// Changes that would make it fit, from the mildest: more remat, a smaller batch.
std::string remedies(const Prepared& prepared)
{
  std::vector<std::string> found;
  const auto attempt = [&](const std::string& what, Scenario changed) {
    const Bytes needed = memory(prepare(std::move(changed)).sharded).total();
    if (needed <= prepared.scenario.machine.chip.hbm_capacity)
      found.push_back(fmt::format("{} ({})", what, format(needed)));
  };
  Scenario full       = prepared.scenario;
  full.workload.remat = Remat{.keep = Remat::Keep::inputs, .kept = {}, .matrix_fraction = 1.0};
  if (prepared.scenario.workload.remat.keep != Remat::Keep::inputs)
    attempt("workload.remat=full", full);
  for (std::int64_t divisor = 2; divisor <= 8 && found.empty(); divisor *= 2) {
    const std::int64_t batch = prepared.scenario.workload.batch / divisor;
    const AxisMask split     = prepared.scenario.sharding.compute[static_cast<std::size_t>(Dim::batch)];
    if (batch == 0 || batch % prepared.scenario.mesh.size(split) != 0)
      break;
    Scenario smaller       = prepared.scenario;
    smaller.workload.batch = batch;
    attempt(fmt::format("workload.batch={}", batch), smaller);
  }
  if (found.empty())
    return "it takes more chips, or weights split over more of them";
  return fmt::format("it would fit with {}", fmt::join(found, " or "));
}

// What a chip draws with its share of the system, in watts, where its file says so.
template <class AnyChip> std::optional<double> chip_power(const AnyChip& chip)
{
  if constexpr (requires { chip.power->value(); })
    return chip.power ? std::optional(chip.power->value()) : std::nullopt;
  else
    return std::nullopt;
}

} // namespace

MultiAxis multi_axis(const Scenario& scenario)
{
  return scenario.software.concurrent_axes ? MultiAxis::concurrent : MultiAxis::sequential;
}

Prepared prepare(Scenario scenario)
{
  const Workload& work = scenario.workload;
  const double tokens  = static_cast<double>(work.batch) * static_cast<double>(work.sequence);
  Program program = training_step(forward_pass(scenario.model, work.batch, work.sequence, scenario.software.precision),
                                  work.remat, work.optimizer, scenario.software.precision, tokens);
  ShardedProgram sharded =
      partition(program, scenario.mesh, scenario.sharding, scenario.deferred, scenario.software.overlap);
  return {std::move(scenario), std::move(program), std::move(sharded)};
}

Seconds serial_time(const Prepared& prepared)
{
  const Machine& machine = prepared.scenario.machine;
  Seconds sum;
  for (const DeviceBlock& block : prepared.sharded.programs.front().blocks)
    for (const DeviceOperation& op : block.operations) {
      BytesPerSecond link = machine.ici.effective();
      for (std::size_t axis = 0; axis < prepared.scenario.placement.size(); ++axis)
        if ((op.collective.axes >> axis & 1U) && prepared.scenario.placement[axis].on_dcn)
          link = std::min(link, machine.host.nic_bandwidth / static_cast<double>(machine.chips_per_host()));
      const bool collective = op.kind == DeviceOperation::Kind::collective;
      const Seconds once    = collective ? op.collective.full / link : operation_time(op.work, machine.chip).total();
      sum += once * static_cast<double>(block.count);
    }
  return sum;
}

Result describe(const Prepared& prepared)
{
  const Scenario& s = prepared.scenario;
  Result result;
  result.scenario = s.name;
  result.hash     = s.hash;
  result.model =
      fmt::format("{}, {}, {:.2f}e9 parameters; {} sequences of {} tokens a step; {}, remat {}", s.model.name,
                  s.model.encoder ? "encoder" : "decoder", prepared.program.model.parameters / 1e9, s.workload.batch,
                  s.workload.sequence, s.workload.optimizer.name, s.workload.remat_name);
  result.machine =
      fmt::format("{} {} chips, {} pod{} of {}; {}", s.machine.devices(), s.machine.chip.name, s.machine.pods,
                  s.machine.pods == 1 ? "" : "s", fmt::join(s.machine.torus.shape, "x"), s.software.name);
  result.mesh      = mesh_text(s);
  result.capacity  = s.machine.chip.hbm_capacity;
  result.memory    = memory(prepared.sharded);
  result.published = s.published;
  result.constants = s.constants;
  for (const PointwiseKind* kind : kinds_of(prepared.program))
    result.constants.push_back({"program.pointwise." + kind->name,
                                kind->describe(),
                                "counted from the arithmetic, see sim/program/pointwise.hpp",
                                {}});
  result.files = s.files;
  if (result.memory->total() > result.capacity) {
    result.status = "memory";
    result.reason =
        fmt::format("needs {} a chip, {} more than its {}; {}", format(result.memory->total()),
                    format(result.memory->total() - result.capacity), format(result.capacity), remedies(prepared));
  } else if (const Seconds time = serial_time(prepared); time > longest_step) {
    result.status = "time";
    result.reason =
        fmt::format("a step would take about {:.3g} h, more than the {:.2g} h that the simulator's clock holds",
                    time / Seconds(3600), longest_step / Seconds(3600));
  }
  return result;
}

Result run(const Prepared& prepared, const SimulationOptions& options)
{
  Result result = describe(prepared);
  if (result.status != "ok")
    return result;
  const Scenario& s       = prepared.scenario;
  const auto started      = std::chrono::steady_clock::now();
  const Trace trace       = simulate(prepared.sharded, s.machine, s.placement, multi_axis(s), options);
  result.metrics          = measure(prepared.program, prepared.sharded, s.machine, s.placement, multi_axis(s), trace);
  result.energy_per_token = energy_per_token(chip_power(s.machine.chip), *result.metrics);
  result.simulation       = {.devices     = s.machine.devices(),
                             .classes     = trace.simulated_classes,
                             .activities  = trace.activities,
                             .folded      = !options.explicit_devices,
                             .chunked     = trace.chunked,
                             .granularity = options.granularity,
                             .wall =
                                 Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()),
                             .class_list = trace.classes};
  return result;
}

} // namespace podsim
