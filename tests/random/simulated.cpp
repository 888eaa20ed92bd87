#include "tests/random/simulated.hpp"

#include "sim/engine/row.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <tuple>

namespace podsim::test {

const Catalogue& drawn_from()
{
  static const Catalogue own(PODSIM_SOURCE_DIR);
  return own;
}

Document document_of(const nlohmann::json& scenario)
{
  return resolve_text(scenario.dump(), PODSIM_SOURCE_DIR "/drawn.json", drawn_from()); // from where bases are named
}

const Prepared& prepared_from(const nlohmann::json& scenario)
{
  static std::map<std::string, Prepared> kept;
  const std::string text = scenario.dump();
  const auto found       = kept.find(text);
  return found != kept.end() ? found->second
                             : kept.emplace(text, prepare(read_scenario(document_of(scenario)))).first->second;
}

const Measured& measured(const Prepared& prepared, const Way& way)
{
  static std::map<std::pair<const Prepared*, Way>, Measured> kept;
  const auto found = kept.find({&prepared, way});
  if (found != kept.end())
    return found->second;
  const Scenario& s        = prepared.scenario;
  const TimedProgram timed = timed_program(prepared, way.granularity);
  Measured all{simulate(prepared.sharded, timed, s.machine, s.placement, classes_on(s.machine, prepared),
                        {.granularity      = way.granularity,
                         .explicit_devices = way.explicit_devices,
                         .skip_repetitions = way.skips,
                         .progress         = {}}),
               {},
               true};
  each_record(all.trace, [&](const TraceRecord& record) {
    const double ticks = record.end.value() * ticks_per_second;
    all.on_grid &= ticks == std::floor(ticks);
  });
  all.metrics = measure(prepared.program, prepared.sharded, timed, s.machine, s.placement, all.trace);
  return kept.emplace(std::pair(&prepared, way), std::move(all)).first->second;
}

double step_of(const nlohmann::json& scenario, const Way& way)
{
  return measured(prepared_from(scenario), way).metrics.step_time.value();
}

std::string unequal(const std::string& what, double a, double b)
{
  return fmt::format("{} {:.9g} against {:.9g} ({:+.3g} %)", what, a, b, b != 0 ? 100 * (a / b - 1) : 0);
}

// Off the clock's grid SimGrid takes as one what ends within its precision, half a tick; one such choice may follow
// another: eight ticks, or 1e-10 of a step that is longer.
double off_grid(Seconds step)
{
  return std::max(1e-10, 8 / (step.value() * ticks_per_second));
}

std::string difference(const Measured& one, const Measured& other)
{
  const Metrics& a     = one.metrics;
  const Metrics& b     = other.metrics;
  const bool on_grid   = one.on_grid && other.on_grid;
  const auto different = [&](double x, double y) {
    return x != y &&
           (on_grid || std::abs(x - y) >
                           off_grid(a.step_time) * std::max(a.step_time.value(), std::max(std::abs(x), std::abs(y))));
  };
  if (different(a.step_time.value(), b.step_time.value()))
    return unequal("step", a.step_time.value(), b.step_time.value());
  if (a.breakdowns.size() != b.breakdowns.size())
    return fmt::format("{} classes against {}", a.breakdowns.size(), b.breakdowns.size());
  for (std::size_t own = 0; own < a.breakdowns.size(); ++own) {
    std::map<std::string, Seconds> x(a.breakdowns[own].begin(), a.breakdowns[own].end());
    std::map<std::string, Seconds> y(b.breakdowns[own].begin(), b.breakdowns[own].end());
    for (const auto& [name, time] : a.breakdowns[own])
      y.try_emplace(name);
    for (const auto& [name, time] : y)
      if (different(x[name].value(), time.value()))
        return unequal(fmt::format("breakdown of class {}, {}", own, name), x[name].value(), time.value());
  }
  if (a.links.size() != b.links.size())
    return "links in use";
  for (std::size_t i = 0; i < a.links.size(); ++i) {
    if (different(a.links[i].busy_fraction, b.links[i].busy_fraction))
      return unequal(a.links[i].name + " busy", a.links[i].busy_fraction, b.links[i].busy_fraction);
    if (a.links[i].sent.value() != b.links[i].sent.value())
      return unequal(a.links[i].name + " sent", a.links[i].sent.value(), b.links[i].sent.value());
  }
  if (different(a.bubble, b.bubble))
    return unequal("bubble", a.bubble, b.bubble);
  if (on_grid && a.critical != b.critical)
    return fmt::format("the class that waits least: {} against {}", a.critical, b.critical);
  return {};
}

namespace {

// Runs of operations taken apart, since how many one record covers depends on what else could have had a say.
std::vector<TraceRecord> single_records(const Prepared& prepared, const Way& way)
{
  const Trace trace        = measured(prepared, way).trace;
  const TimedProgram timed = timed_program(prepared, way.granularity);
  std::vector<TraceRecord> all;
  each_record(trace, [&](const TraceRecord& record) {
    const std::size_t stage = trace.stages.at(static_cast<std::size_t>(record.device_class));
    const Speed speed       = prepared.scenario.machine.overrides.device(
              trace.classes.at(static_cast<std::size_t>(record.device_class)).representative);
    const std::vector<TraceRecord> single =
        split(record, prepared.sharded.program_of(stage), prepared.sharded.stages[stage],
              timed.durations(prepared.sharded.stages[stage].program, speed));
    all.insert(all.end(), single.begin(), single.end());
  });
  const auto key = [](const TraceRecord& r) { return std::tuple(r.device_class, r.step, r.iteration, r.operation); };
  std::sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  return all;
}

std::string describe(const TraceRecord& one, const TraceRecord& other, const Prepared& prepared,
                     const DeviceClasses& classes)
{
  const Scenario& s         = prepared.scenario;
  const std::int64_t device = classes.classes[static_cast<std::size_t>(one.device_class)].representative;
  const AxisMask axis       = s.mesh.find("pipeline");
  std::size_t stage         = 0;
  for (std::size_t i = 0; i < s.mesh.axes.size(); ++i)
    if (prepared.sharded.pipeline && (axis >> i & 1U) != 0)
      stage = static_cast<std::size_t>(position(s.placement[i], device, s.machine.lattice));
  const Step& step         = prepared.sharded.stages[stage].steps[static_cast<std::size_t>(one.step)];
  const DeviceBlock& block = prepared.sharded.program_of(stage).blocks[static_cast<std::size_t>(step.block)];
  const auto later         = [](Seconds a, Seconds b) { return (a - b).value() * ticks_per_second; };
  return fmt::format("{} (stage {}), step {}, {} {}, {}: from {:.9g} to {:.9g} us, {:+.6g} and {:+.6g} ticks",
                     s.machine.describe(device), stage, one.step, block.name, one.iteration,
                     block.operations[static_cast<std::size_t>(one.operation)].name, 1e6 * one.start.value(),
                     1e6 * one.end.value(), later(one.start, other.start), later(one.end, other.end));
}

} // namespace

std::vector<std::string> first_differences(const Prepared& prepared, const Way& one, const Way& other)
{
  const std::vector<TraceRecord> a = single_records(prepared, one);
  const std::vector<TraceRecord> b = single_records(prepared, other);
  if (a.size() != b.size())
    return {fmt::format("{} operations against {}", a.size(), b.size())};
  std::vector<std::size_t> differ;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].start.value() != b[i].start.value() || a[i].end.value() != b[i].end.value())
      differ.push_back(i);
  const auto when = [&](std::size_t i) { return std::min(a[i].end, b[i].end); };
  std::sort(differ.begin(), differ.end(), [&](std::size_t i, std::size_t j) { return when(i) < when(j); });
  const DeviceClasses classes = fold(prepared.scenario.machine, prepared.scenario.placement, prepared.sharded.pipeline);
  std::vector<std::string> lines{fmt::format("{} of {} operations differ", differ.size(), a.size())};
  for (std::size_t i = 0; i < std::min<std::size_t>(differ.size(), 4); ++i)
    lines.push_back(describe(a[differ[i]], b[differ[i]], prepared, classes));
  return lines;
}

} // namespace podsim::test
