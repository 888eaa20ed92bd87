#include "sim/evaluate/prepare.hpp"

namespace podsim {
namespace {

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

} // namespace podsim
