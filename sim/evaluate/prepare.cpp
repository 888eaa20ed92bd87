#include "sim/evaluate/prepare.hpp"

#include <algorithm>

namespace podsim {
namespace {

constexpr std::size_t most_known = 10'000; // of some hundred bytes each
constexpr std::size_t most_kept  = 16;     // of up to some megabytes

KnownPrograms make_programs(const Scenario& s)
{
  if (const MicroBenchmark* benchmark = s.micro_benchmark())
    return {programs_of(*benchmark, s.mesh), {}};
  Programs all        = programs_of(s.training(), s.mesh, s.software.precision, s.software.compilation);
  const Memory needed = memory(all.sharded);
  return {std::move(all), needed};
}

// Of what differs most often.
std::size_t hash_of(const Scenario& s)
{
  const Training& own = s.training();
  std::size_t hash    = 0;
  const auto add = [&](std::int64_t value) { hash = (hash ^ static_cast<std::size_t>(value)) * 0x9e3779b97f4a7c15ULL; };
  for (const std::int64_t value :
       {own.step.batch, own.step.sequence, own.pipeline.micro_batches, own.pipeline.stages, own.pipeline.chunks,
        static_cast<std::int64_t>(own.step.remat.keep), own.model.d_model, own.model.layers})
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
    return one.mesh == s.mesh && one.training == s.training() && one.compilation == s.software.compilation &&
           one.precision == s.software.precision;
  });
  if (found != alike.end())
    return *found;
  auto programs = std::make_shared<const KnownPrograms>(make_programs(s));
  ++count_;
  last_.push_back(programs);
  if (last_.size() > most_kept)
    last_.pop_front();
  return alike.emplace_back(
      Known{s.training(), s.mesh, s.software.precision, s.software.compilation, programs->memory, programs});
}

std::shared_ptr<const KnownPrograms> PreparedBefore::programs_of(const Scenario& scenario)
{
  Known& own    = known(scenario);
  auto programs = own.programs.lock();
  if (!programs) {
    programs     = std::make_shared<const KnownPrograms>(make_programs(scenario));
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
  auto programs = before && !scenario.micro_benchmark()
                      ? before->programs_of(scenario)
                      : std::make_shared<const KnownPrograms>(make_programs(scenario));
  return {std::move(scenario), std::move(programs)};
}

Memory memory_of_chip(const Prepared& prepared)
{
  return prepared.kept->memory.times(static_cast<double>(prepared.scenario.machine.chip.devices));
}

Memory memory_of_chip(const Scenario& scenario, PreparedBefore* before)
{
  const Memory own = before ? before->memory_of(scenario) : make_programs(scenario).memory;
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
