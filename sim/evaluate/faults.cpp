#include "sim/evaluate/faults.hpp"

#include "sim/engine/stage_recurrence.hpp"
#include "sim/engine/symmetry.hpp"
#include "sim/metrics/possible.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <set>

namespace podsim {
namespace {

// What is simulated within that time is simulated as it is, and not bounded.
constexpr Seconds affordable{30};

// Where faults put devices out of step, a collective over several rings that is one event begins for all of its group
// when the last of them is there, and not ring by ring. By chunks the step is shorter, by less than this share of it in
// all of some thousand random cases.
constexpr double groups_cost_at_most = 1e-5;

std::optional<Reckoned> reckoned(const Prepared& prepared, const TimedProgram& timed, const Machine& machine,
                                 const DeviceClasses& classes, const SimulationOptions& options)
{
  if (!options.engine.reckons || options.explicit_devices || !options.skip_repetitions)
    return {};
  return stage_recurrence(prepared.sharded, timed, machine, prepared.scenario.placement, classes);
}

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

} // namespace

DeviceClasses classes_on(const Machine& machine, const Prepared& prepared)
{
  return fold(machine, prepared.scenario.placement, prepared.sharded.pipeline);
}

MeasuredStep measure_on(const Machine& machine, const DeviceClasses& classes, const Prepared& prepared,
                        const SimulationOptions& options, bool slow_links_by_chunks)
{
  const Scenario& s        = prepared.scenario;
  const TimedProgram timed = time_program(prepared.sharded, machine, s.placement, s.software.collectives,
                                          options.granularity, slow_links_by_chunks);
  MeasuredStep measured;
  if (auto all = reckoned(prepared, timed, machine, classes, options)) {
    measured.course = std::move(all->course);
    measured.metrics =
        measure(prepared.program, prepared.sharded, timed, machine, s.placement, measured.course, all->tally);
  } else {
    Trace trace               = simulate(prepared.sharded, timed, machine, s.placement, classes, options);
    measured.waits_for_groups = waits_for_groups(prepared.sharded, timed, trace);
    measured.metrics          = measure(prepared.program, prepared.sharded, timed, machine, s.placement, trace);
    measured.course           = std::move(trace);
  }
  check_possible(measured.metrics, s.hash);
  return measured;
}

namespace {

// So many classes are simulated within it.
std::int64_t affordable_classes(const Machine& machine, const Prepared& prepared, const SimulationOptions& options,
                                bool slow_links_by_chunks)
{
  const Scenario& s = prepared.scenario;
  Machine probe     = machine; // what is done, and in which parts, is the same whatever the speeds of devices
  if (!probe.overrides.devices.empty())
    probe.overrides.devices = {*probe.overrides.devices.begin()};
  const TimedProgram timed = time_program(prepared.sharded, probe, s.placement, s.software.collectives,
                                          options.granularity, slow_links_by_chunks);
  std::int64_t least       = 0;
  for (std::int64_t most = machine.devices() + 1; most - least > 1;) {
    const std::int64_t between                                                          = least + (most - least) / 2;
    (simulation_estimate(between, prepared.sharded, timed) > affordable ? most : least) = between;
  }
  return least;
}

} // namespace

Faulty measure_faulty(Machine machine, const Prepared& prepared, const SimulationOptions& options)
{
  if (machine.overrides.empty())
    return {measure_on(machine, classes_on(machine, prepared), prepared, options), {}, {}};
  const Scenario& s = prepared.scenario;
  // The machine's classes, where that many are soon simulated.
  const auto affordable = [&](const Machine& on, bool by_chunks) -> std::optional<DeviceClasses> {
    const std::int64_t most = affordable_classes(on, prepared, options, by_chunks);
    std::set<Speed> speeds; // each of which makes a class at least, which is sooner seen than all of them told apart
    for (const auto& [device, speed] : on.overrides.devices)
      speeds.insert(speed);
    if (static_cast<std::int64_t>(speeds.size()) > most)
      return {};
    DeviceClasses classes = classes_on(on, prepared);
    return static_cast<std::int64_t>(classes.classes.size()) > most ? std::nullopt : std::optional(std::move(classes));
  };
  const std::optional<DeviceClasses> classes = affordable(machine, true);
  if (options.explicit_devices || classes) {
    Faulty exact{measure_on(machine, classes ? *classes : classes_on(machine, prepared), prepared, options), {}, {}};
    if (options.granularity == Granularity::automatic && exact.measured.waits_for_groups) {
      exact.bound    = "collectives over several axes begin when all of their group are there";
      exact.at_least = exact.measured.metrics.step_time * (1 - groups_cost_at_most);
    }
    return exact;
  }
  Machine below = machine;
  Faulty result;
  bool by_chunks = false;
  if (affordable(machine, false)) {
    result.bound = "collectives over slow links end for all when they do for the last";
    std::erase_if(below.overrides.links, [](const auto& link) { return link.second > 0; });
  } else {
    result.bound      = "all that only faults tell apart is as slow as the slowest of it";
    below.overrides   = worst_only(machine);
    machine.overrides = worst_everywhere(machine, s.placement, prepared.sharded.pipeline);
    by_chunks         = affordable(machine, true).has_value();
    if (!affordable(below, false))
      below.overrides = {}; // the healthy machine is no slower, either
  }
  result.measured = measure_on(machine, classes_on(machine, prepared), prepared, options, by_chunks);
  result.at_least = measure_on(below, classes_on(below, prepared), prepared, options, false).metrics.step_time;
  return result;
}

namespace {

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

} // namespace

FaultReport fault_report(const Faulty& all, const Prepared& prepared, const SimulationOptions& options,
                         const Announce& announce)
{
  const Scenario& s         = prepared.scenario;
  SimulationOptions quiet   = options;
  quiet.progress            = {};
  Machine machine           = s.machine;
  machine.overrides         = {};
  const Metrics healthy     = measure_on(machine, classes_on(machine, prepared), prepared, quiet).metrics;
  const DeviceClass slowest = all.measured.course.classes[all.measured.metrics.critical];
  FaultReport report{healthy.step_time, healthy.mfu, {}, {slowest.devices, s.machine.describe(slowest.representative)},
                     all.bound,         all.at_least};
  if (s.faults.size() == 1)
    report.each.push_back({s.faults.front().name, all.measured.metrics.step_time, all.measured.metrics.mfu});
  else
    report.each = costs(prepared, quiet, announce);
  return report;
}

} // namespace podsim
