#include "sim/metrics/gate.hpp"

#include <algorithm>
#include <cmath>

namespace podsim {
namespace {

std::optional<double> find(const Numbers& numbers, const std::string& name)
{
  for (const auto& [known, value] : numbers)
    if (known == name)
      return value;
  return {};
}

// What is better or worse first, and then what has only changed.
std::vector<const Figure*> gated_figures()
{
  std::vector<const Figure*> figures = figures_in(Listing::gate);
  std::stable_partition(figures.begin(), figures.end(),
                        [](const Figure* figure) { return figure->better != Direction::neither; });
  return figures;
}

Effect effect_of(Direction direction, double difference)
{
  if (direction == Direction::neither)
    return Effect::changed;
  return (difference > 0) == (direction == Direction::more_is_better) ? Effect::better : Effect::worse;
}

Level level_of(double relative, Effect effect, const std::string& metric, const Rules& rules)
{
  const auto warn = rules.warn(metric);
  if (relative <= rules.tolerance(metric))
    return warn && relative > *warn && effect != Effect::better ? Level::warning : Level::none;
  if (effect != Effect::better || rules.improvements() == Improvements::error)
    return Level::error;
  return rules.improvements() == Improvements::warning ? Level::warning : Level::none;
}

MetricChange compare(const Figure& figure, std::optional<double> was, std::optional<double> now, const Rules& rules)
{
  const std::string& name = figure.json_name;
  MetricChange change{name, was, now, {}, rules.tolerance(name), Effect::changed, Level::error};
  if (!was || !now) // a metric that came or went
    return change;
  const double difference = *now - *was;
  const double size       = std::max(std::abs(*was), std::abs(*now));
  const bool rounding     = std::abs(difference) <= figure.rounding * figure.json_scale;
  if (*was != 0)
    change.relative = difference / std::abs(*was);
  change.effect = effect_of(figure.better, difference);
  change.level =
      rounding || size == 0 ? Level::none : level_of(std::abs(difference) / size, change.effect, name, rules);
  return change;
}

std::vector<std::string> beyond(const std::vector<std::string>& some, const std::vector<std::string>& others)
{
  std::vector<std::string> rest;
  for (const std::string& one : some)
    if (std::find(others.begin(), others.end(), one) == others.end())
      rest.push_back(one);
  return rest;
}

std::optional<std::string> find(const Texts& texts, const std::string& path)
{
  const auto found = texts.find(path);
  return found == texts.end() ? std::nullopt : std::optional(found->second);
}

// Of a path, in whichever of the files gives it.
std::optional<std::string> find(const std::map<std::string, Texts>& catalogue, const std::vector<std::string>& files,
                                const std::string& path)
{
  for (const std::string& file : files)
    if (const auto texts = catalogue.find(file); texts != catalogue.end())
      if (auto value = find(texts->second, path))
        return value;
  return {};
}

} // namespace

std::vector<std::string> gated_names()
{
  std::vector<std::string> names;
  for (const Figure* figure : gated_figures())
    names.push_back(figure->json_name);
  names.push_back(gated_breakdown);
  return names;
}

std::optional<double> Rules::find(const std::string& metric, std::optional<double> Allowance::*which) const
{
  for (const Allowances* allowances : {&own_, &overall_}) {
    if (const auto one = allowances->by_metric.find(metric); one != allowances->by_metric.end() && one->second.*which)
      return one->second.*which;
    if (allowances->all.*which)
      return allowances->all.*which;
  }
  return {};
}

double Rules::tolerance(const std::string& metric) const
{
  return std::max(find(metric, &Allowance::tolerance).value_or(usual_tolerance),
                  other_simgrid_ ? other_simgrid_tolerance : 0);
}

std::optional<double> Rules::warn(const std::string& metric) const
{
  return find(metric, &Allowance::warn);
}

std::vector<MetricChange> changes(const Measured& was, const Measured& now, const Rules& rules)
{
  std::vector<MetricChange> all;
  const auto add = [&](MetricChange change) {
    if (change.level != Level::none)
      all.push_back(std::move(change));
  };
  for (const Figure* figure : gated_figures()) {
    const auto before = find(was.metrics, figure->json_name);
    const auto after  = find(now.metrics, figure->json_name);
    if (before || after)
      add(compare(*figure, before, after, rules));
  }
  const std::string& step_time           = figure("step_time").json_name;
  const std::vector<BreakdownMove> moves = breakdown_moves(was, now);
  const double step                      = find(was.metrics, step_time).value_or(0);
  if (moves.empty() || !(step > 0))
    return all;
  const double share = std::abs(moves.front().now - moves.front().was) / step;
  // Of a step that has become shorter it is part of the improvement.
  const double after  = find(now.metrics, step_time).value_or(step);
  const Effect effect = after < step ? Effect::better : Effect::changed;
  add({gated_breakdown,
       {},
       {},
       share,
       rules.tolerance(gated_breakdown),
       effect,
       level_of(share, effect, gated_breakdown, rules)});
  return all;
}

std::vector<BreakdownMove> breakdown_moves(const Measured& was, const Measured& now)
{
  std::vector<BreakdownMove> moves;
  for (const auto& [entry, time] : was.breakdown)
    moves.push_back({entry, time, find(now.breakdown, entry).value_or(0)});
  for (const auto& [entry, time] : now.breakdown)
    if (!find(was.breakdown, entry))
      moves.push_back({entry, 0, time});
  std::erase_if(moves, [](const BreakdownMove& move) { return move.was == move.now; });
  std::stable_sort(moves.begin(), moves.end(), [](const BreakdownMove& a, const BreakdownMove& b) {
    return std::abs(a.now - a.was) > std::abs(b.now - b.was);
  });
  return moves;
}

Cause cause(const Measured& was, const Measured& now, const KeptValues& kept)
{
  Cause found;
  found.files_gained = beyond(now.files, was.files);
  found.files_lost   = beyond(was.files, now.files);

  // What is no longer in the scenario's hands may have gone back to the catalogue's value, and the other way around.
  Texts given;
  for (const auto& [file, texts] : now.catalogue)
    given.insert(texts.begin(), texts.end());
  for (const auto& [path, value] : was.scenario) {
    auto after = find(now.scenario, path);
    if (!after)
      after = find(given, path);
    if (after != value)
      found.scenario.push_back({path, value, after, ""});
  }
  for (const auto& [path, value] : now.scenario)
    if (!was.scenario.contains(path))
      if (const auto before = find(kept.catalogue, was.files, path); before != value)
        found.scenario.push_back({path, before, value, ""});

  const bool other_files = !found.files_gained.empty() || !found.files_lost.empty();
  for (const auto& [file, texts] : now.catalogue)
    for (const auto& [path, value] : texts) {
      if (was.scenario.contains(path))
        continue; // listed above
      auto before = find(kept.catalogue, {file}, path);
      if (!before) // a file laid over another
        before = find(kept.catalogue, was.files, path);
      if (before == value)
        continue;
      (other_files ? found.scenario : found.catalogue).push_back({path, before, value, file});
    }

  found.program_unknown = kept.program_missing;
  for (const auto& [path, value] : kept.program_missing ? Texts() : now.program) {
    const auto known = kept.program.find(path);
    if (known == kept.program.end())
      found.program.push_back({path, {}, value, ""});
    else if (!known->second.contains(value))
      found.program.push_back({path, *known->second.begin(), value, ""});
  }

  // A value that a catalogue file no longer gives; a scenario may also remove it, so this comes last.
  if (was.hash != now.hash && !found.inputs_changed())
    for (const std::string& file : was.files)
      if (const auto texts = kept.catalogue.find(file); texts != kept.catalogue.end())
        for (const auto& [path, value] : texts->second)
          if (!given.contains(path) && !now.scenario.contains(path))
            found.catalogue.push_back({path, value, {}, file});
  return found;
}

} // namespace podsim
