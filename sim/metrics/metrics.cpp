#include "sim/metrics/metrics.hpp"

#include "sim/metrics/summed.hpp"

#include <algorithm>
#include <map>

namespace podsim {
namespace {

// Of the device that executes most, over what its peak allows in the step.
double device_use(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
                  const Course& course, Seconds step)
{
  std::map<std::size_t, Flops> executed; // by program: its stages execute the same
  double most = 0;
  for (std::size_t c = 0; c < course.classes.size(); ++c) {
    const std::size_t stage  = course.stages[c];
    const auto [at, missing] = executed.try_emplace(program.stages[stage].program);
    Flops& own               = at->second;
    if (missing)
      each_operation(program, timed, stage, [&](const DeviceOperation& op, const TimedOperation&, double times) {
        own += op.work.matrix.flops() * times;
      });
    const Chip chip = at_speed(machine.chip, machine.overrides.device(course.classes[c].representative));
    most            = std::max(most, own / chip.matrix_peak / step);
  }
  return most;
}

std::optional<Seconds> layer_time(const LayerTime& layers)
{
  return layers.iterations > 0 ? std::optional(layers.sum / layers.iterations) : std::nullopt;
}

} // namespace

double waiting_for_slower_pods(double scale, std::int64_t pods)
{
  double sum = 0;
  for (std::int64_t pod = 2; pod <= pods; ++pod)
    sum += 1 / static_cast<double>(pod);
  return scale * sum;
}

double utilisation(const Metrics& metrics, double flops)
{
  return metrics.tokens_per_s * flops / (metrics.peak * metrics.chips).value();
}

double least_bubble(const Metrics& metrics)
{
  return sum_named(metrics.breakdowns.at(metrics.critical), "idle") / metrics.step_time;
}

double exposed_share(const Metrics& metrics)
{
  double exposed = 0;
  for (const auto& [name, time] : metrics.breakdowns.at(metrics.critical))
    if (name.starts_with("exposed_"))
      exposed += time / metrics.step_time;
  return exposed;
}

Metrics measure(const Program& program, const ShardedProgram& sharded, const TimedProgram& timed,
                const Machine& machine, const Placement& placement, const Trace& trace)
{
  Metrics metrics = measure(program, sharded, timed, machine, placement, trace, summed(trace, sharded, timed, machine));
  metrics.dcn_burst = burst(sharded, timed, trace, machine);
  return metrics;
}

Metrics measure(const Program& program, const ShardedProgram& sharded, const TimedProgram& timed,
                const Machine& machine, const Placement& placement, const Course& course, const Tally& tally)
{
  Metrics metrics;
  const Seconds waiting         = program.tokens_per_step > 0 // a micro-benchmark is no step
                                      ? course.end * waiting_for_slower_pods(machine.pod_spread, machine.pods())
                                      : Seconds(0);
  metrics.step_time             = course.end + waiting;
  metrics.tokens_per_step       = program.tokens_per_step;
  metrics.tokens_per_s          = program.tokens_per_step / metrics.step_time.value();
  metrics.model                 = program.model;
  metrics.flops                 = flops_per_token(program);
  metrics.chips                 = static_cast<double>(machine.chips());
  metrics.peak                  = machine.chip.matrix_peak * static_cast<double>(machine.chip.devices);
  metrics.mfu                   = utilisation(metrics, metrics.flops.model());
  metrics.mfu_without_attention = utilisation(metrics, metrics.flops.weights);
  metrics.hfu                   = utilisation(metrics, metrics.flops.executed);
  metrics.device_use            = device_use(sharded, timed, machine, course, metrics.step_time);
  metrics.routing               = routing(program);

  metrics.breakdowns = breakdowns(sharded, timed, machine, placement, course, tally);
  for (std::size_t c = 0; c < metrics.breakdowns.size(); ++c) {
    const Seconds idle = sum_named(metrics.breakdowns[c], "idle");
    if (idle < sum_named(metrics.breakdowns[metrics.critical], "idle"))
      metrics.critical = c;
    if (waiting > Seconds(0))
      metrics.breakdowns[c].emplace_back("slower_pods", waiting);
    metrics.bubble += idle / metrics.step_time * static_cast<double>(course.classes[c].devices) /
                      static_cast<double>(machine.devices());
  }
  metrics.layer_forward  = layer_time(tally.forward);
  metrics.layer_backward = layer_time(tally.backward);
  metrics.bisection      = bisection_use(sharded, timed);
  metrics.links          = link_use(sharded, timed, machine, placement, metrics.step_time);
  return metrics;
}

std::optional<double> energy_per_token(std::optional<Watts> chip_power, const Metrics& metrics)
{
  if (!chip_power || !(metrics.tokens_per_s > 0))
    return {};
  return chip_power->value() * metrics.chips / metrics.tokens_per_s;
}

} // namespace podsim
