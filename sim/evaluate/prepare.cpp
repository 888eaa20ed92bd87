#include "sim/evaluate/prepare.hpp"

#include <algorithm>

namespace podsim {
namespace {

constexpr std::size_t most_known = 10'000; // of some hundred bytes each
constexpr std::size_t most_kept  = 16;     // of up to some megabytes

// A micro-benchmark is a program of one operation on every device.
Programs programs_of(const MicroBenchmark& benchmark, const Mesh& mesh)
{
  DeviceBlock block{.name = "micro-benchmark", .operations = {benchmark.operation}, .buffers = {}, .saved = {}};
  ShardedProgram sharded;
  sharded.mesh     = mesh;
  sharded.programs = {{{std::move(block)}, {}}};
  sharded.stages   = {{0, {{0, 1}}}};
  return {{}, std::move(sharded), {}};
}

Programs programs_of(const Scenario& scenario)
{
  if (scenario.micro_benchmark)
    return programs_of(*scenario.micro_benchmark, scenario.mesh);
  const Workload& work   = scenario.workload;
  const double tokens    = static_cast<double>(work.batch) * static_cast<double>(work.sequence);
  Program program        = training_step(forward_pass(scenario.model, work.batch / scenario.pipeline.micro_batches,
                                                      work.sequence, scenario.software.precision),
                                         work.remat, work.optimizer, scenario.software.precision, scenario.pipeline, tokens);
  ShardedProgram sharded = partition(program, scenario.mesh, scenario.sharding, scenario.software.compilation);
  const Memory needed    = memory(sharded);
  return {std::move(program), std::move(sharded), needed};
}

// Of what differs most often.
std::size_t hash_of(const Scenario& s)
{
  std::size_t hash = 0;
  const auto add = [&](std::int64_t value) { hash = (hash ^ static_cast<std::size_t>(value)) * 0x9e3779b97f4a7c15ULL; };
  for (const std::int64_t value :
       {s.workload.batch, s.workload.sequence, s.pipeline.micro_batches, s.pipeline.stages, s.pipeline.chunks,
        static_cast<std::int64_t>(s.workload.remat.keep), s.model.d_model, s.model.layers})
    add(value);
  for (const MeshAxis& axis : s.mesh.axes)
    add(axis.size);
  return hash;
}

} // namespace

PreparedBefore::Known& PreparedBefore::known(const Scenario& s)
{
  if (count_ == most_known) {
    known_.clear();
    count_ = 0;
  }
  std::vector<Known>& alike = known_[hash_of(s)];
  const auto found          = std::find_if(alike.begin(), alike.end(), [&](const Known& one) {
    return one.workload == s.workload && one.pipeline == s.pipeline && one.mesh == s.mesh &&
           one.sharding == s.sharding && one.compilation == s.software.compilation &&
           one.precision == s.software.precision && one.model == s.model;
  });
  if (found != alike.end())
    return *found;
  auto programs = std::make_shared<const Programs>(podsim::programs_of(s));
  ++count_;
  last_.push_back(programs);
  if (last_.size() > most_kept)
    last_.pop_front();
  return alike.emplace_back(Known{s.model, s.workload, s.pipeline, s.mesh, s.sharding, s.software.precision,
                                  s.software.compilation, programs->memory, programs});
}

std::shared_ptr<const Programs> PreparedBefore::programs_of(const Scenario& scenario)
{
  Known& own    = known(scenario);
  auto programs = own.programs.lock();
  if (!programs) {
    programs     = std::make_shared<const Programs>(podsim::programs_of(scenario));
    own.programs = programs;
    last_.push_back(programs);
    last_.pop_front();
  }
  return programs;
}

Memory PreparedBefore::memory_of(const Scenario& scenario)
{
  return known(scenario).memory;
}

Prepared prepare(Scenario scenario, PreparedBefore* before)
{
  auto programs = before && !scenario.micro_benchmark ? before->programs_of(scenario)
                                                      : std::make_shared<const Programs>(programs_of(scenario));
  return {std::move(scenario), std::move(programs)};
}

Memory memory_of_chip(const Prepared& prepared)
{
  return prepared.kept->memory.times(static_cast<double>(prepared.scenario.machine.chip.devices));
}

Memory memory_of_chip(const Scenario& scenario, PreparedBefore* before)
{
  const Memory own = before ? before->memory_of(scenario) : programs_of(scenario).memory;
  return own.times(static_cast<double>(scenario.machine.chip.devices));
}

Bytes capacity_of(const Chip& chip)
{
  return chip.hbm_capacity * static_cast<double>(chip.devices);
}

TimedProgram timed_program(const Prepared& prepared, Granularity granularity)
{
  const Scenario& s = prepared.scenario;
  return time_program(prepared.sharded, s.machine, s.placement, s.software.collectives, granularity);
}

} // namespace podsim
