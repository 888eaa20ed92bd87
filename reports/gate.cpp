#include "reports/gate.hpp"

#include "reports/text.hpp"
#include "sim/core/errors.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

using Ordered = nlohmann::ordered_json;

constexpr std::size_t most_listed = 8; // values or entries of the breakdown; the rest is counted

// Two numbers with as many digits as tell them apart, four at least.
std::pair<std::string, std::string> told_apart(double was, double now)
{
  constexpr int exact = 17;
  for (int digits = 4; digits < exact; ++digits) {
    auto a = fmt::format("{:.{}g}", was, digits);
    auto b = fmt::format("{:.{}g}", now, digits);
    if (a != b)
      return {a, b};
  }
  return {fmt::format("{}", was), fmt::format("{}", now)};
}

std::string share(double relative, bool with_sign)
{
  constexpr double smallest = 1e-4; // below it a percentage is zeros
  const char* sign          = with_sign && relative > 0 ? "+" : "";
  return std::abs(relative) < smallest ? fmt::format("{}{:.2g}", sign, relative)
                                       : fmt::format("{}{:.3g} %", sign, 100 * relative);
}

const char* effect_word(Effect effect)
{
  return effect == Effect::better ? "better" : effect == Effect::worse ? "worse" : "changed";
}

const char* level_word(Level level)
{
  return level == Level::error ? "error" : level == Level::warning ? "warning" : "none";
}

std::string change_line(const MetricChange& change)
{
  const std::string allowed =
      fmt::format("{}allowed {}", change.level == Level::warning ? "warning; " : "", share(change.tolerance, false));
  if (change.metric == gated_breakdown)
    return fmt::format("{}: {} of the step went elsewhere ({})", change.metric,
                       share(change.relative.value_or(0), false), allowed);
  if (!change.was || !change.now)
    return fmt::format("{}: {}", change.metric,
                       change.was ? fmt::format("was {:.4g}, is no longer measured", *change.was)
                                  : fmt::format("is now {:.4g}, was not measured", *change.now));
  const auto [was, now] = told_apart(*change.was, *change.now);
  return fmt::format("{}: {} -> {}{}, {} ({})", change.metric, was, now,
                     change.relative ? " (" + share(*change.relative, true) + ")" : "", effect_word(change.effect),
                     allowed);
}

std::string move_text(const BreakdownMove& move)
{
  const double by       = move.now - move.was;
  const auto [was, now] = told_apart(move.was, move.now);
  return fmt::format("{} {} -> {} s ({}{:.3g} s)", breakdown_words(move.entry), was, now, by > 0 ? "+" : "", by);
}

std::string value_text(const ValueChange& change)
{
  const auto side = [](const std::optional<std::string>& value) {
    return value ? printable(*value) : std::string("(none)");
  };
  return fmt::format("{} {} -> {}", change.path, side(change.was), side(change.now));
}

// "a, b, c and 4 more".
template <class List, class Text> std::string listed(const List& list, const Text& text)
{
  std::string all;
  for (std::size_t i = 0; i < std::min(list.size(), most_listed); ++i)
    all += (i > 0 ? ", " : "") + text(list[i]);
  return list.size() > most_listed ? all + fmt::format(" and {} more", list.size() - most_listed) : all;
}

void explain_cause(const GateRow& row, const Gate& gate, std::vector<std::string>& lines)
{
  const Cause& cause = row.cause;
  const auto plain   = [](const std::string& text) { return text; };
  if (!cause.files_gained.empty() || !cause.files_lost.empty())
    lines.push_back("because the scenario changed: it reads " + listed(cause.files_gained, plain) +
                    (cause.files_gained.empty() ? "no longer "
                     : cause.files_lost.empty() ? ""
                                                : " instead of ") +
                    listed(cause.files_lost, plain));
  if (!cause.scenario.empty())
    lines.push_back("because the scenario changed: " + listed(cause.scenario, value_text));
  if (!cause.catalogue.empty())
    lines.push_back("because the catalogue changed: " + listed(cause.catalogue, [](const ValueChange& change) {
                      return fmt::format("{} ({})", value_text(change), change.file);
                    }));
  if (!cause.program.empty())
    lines.push_back("because a constant of the program changed: " + listed(cause.program, value_text));
  if (row.changes.empty())
    return;
  if (cause.program_unknown)
    lines.push_back(fmt::format("whether a constant of the program changed is not known: {} has no \"program\", which "
                                "--update writes",
                                gate.baseline));
  if (cause.inputs_changed() || !cause.program.empty())
    return;
  const std::string builds =
      gate.podsim_was == gate.podsim_now && !gate.other_simgrid()
          ? fmt::format("podsim {}, SimGrid {} both times: another build", gate.podsim_now, gate.simgrid_now)
          : fmt::format("podsim {}, SimGrid {}; now podsim {}, SimGrid {}", gate.podsim_was, gate.simgrid_was,
                        gate.podsim_now, gate.simgrid_now);
  lines.push_back(row.same_inputs ? fmt::format("because only the program changed ({})", builds)
                                  : fmt::format("because the program changed ({}); of the scenario only what no number "
                                                "depends on: names, sources, published figures",
                                                builds));
}

Ordered to_json(const ValueChange& change)
{
  Ordered json{{"path", change.path}};
  if (change.was)
    json["was"] = *change.was;
  if (change.now)
    json["now"] = *change.now;
  if (!change.file.empty())
    json["file"] = change.file;
  return json;
}

Ordered to_json(const std::vector<ValueChange>& changes)
{
  Ordered json = Ordered::array();
  for (const ValueChange& change : changes)
    json.push_back(to_json(change));
  return json;
}

Ordered to_json(const MetricChange& change)
{
  Ordered json{{"metric", change.metric}};
  if (change.was)
    json["was"] = *change.was;
  if (change.now)
    json["now"] = *change.now;
  if (change.relative && std::isfinite(*change.relative))
    json["relative"] = *change.relative;
  json["tolerance"] = change.tolerance;
  json["effect"]    = effect_word(change.effect);
  json["level"]     = level_word(change.level);
  return json;
}

Ordered to_json(const GateRow& row, const Gate& gate)
{
  Ordered json{{"scenario", row.scenario}, {"status", status_text(row.status)}, {"level", level_word(row.level())}};
  if (row.failure)
    json["failure"] = word(*row.failure);
  if (!row.reason.empty())
    json["reason"] = row.reason;
  if (row.status != RowStatus::moved && row.status != RowStatus::unchanged)
    return json;
  json["changes"] = Ordered::array();
  for (const MetricChange& change : row.changes)
    json["changes"].push_back(to_json(change));
  json["breakdown_s"] = Ordered::array();
  for (const BreakdownMove& move : row.breakdown)
    json["breakdown_s"].push_back({{"entry", move.entry}, {"was", move.was}, {"now", move.now}});
  json["same_inputs"]       = row.same_inputs;
  json["scenario_changes"]  = to_json(row.cause.scenario);
  json["catalogue_changes"] = to_json(row.cause.catalogue);
  json["program_changes"]   = to_json(row.cause.program);
  json["explanation"]       = explanation(row, gate);
  return json;
}

} // namespace

Level GateRow::level() const
{
  if (status == RowStatus::added || status == RowStatus::missing || status == RowStatus::failed)
    return Level::error;
  Level worst = cause.inputs_changed() ? Level::warning : Level::none;
  for (const MetricChange& change : changes)
    worst = std::max(worst, change.level);
  return worst;
}

const char* status_text(RowStatus status)
{
  switch (status) {
  case RowStatus::unchanged:
    return "unchanged";
  case RowStatus::moved:
    return "moved";
  case RowStatus::added:
    return "new";
  case RowStatus::missing:
    return "missing";
  case RowStatus::failed:
    return "failed";
  }
  return "";
}

std::string summary(const Gate& gate)
{
  std::string text;
  using enum RowStatus;
  for (const RowStatus status : {moved, added, missing, failed, unchanged}) {
    const auto count =
        std::count_if(gate.rows.begin(), gate.rows.end(), [&](const GateRow& row) { return row.status == status; });
    if (count > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, status_text(status));
  }
  const auto warned = std::count_if(gate.rows.begin(), gate.rows.end(),
                                    [](const GateRow& row) { return row.level() == Level::warning; });
  return warned > 0 ? text + fmt::format(" ({} with a warning)", warned) : text;
}

std::string simgrid_note(const Gate& gate)
{
  return gate.other_simgrid()
             ? fmt::format("the baseline was made with SimGrid {}, this is {}: compared within {:g}, not to the last "
                           "bit",
                           gate.simgrid_was, gate.simgrid_now, other_simgrid_tolerance)
             : "";
}

std::vector<std::string> explanation(const GateRow& row, const Gate& gate)
{
  std::vector<std::string> lines;
  if (!row.reason.empty())
    lines.push_back(row.failure ? fmt::format("{}: {}", word(*row.failure), row.reason) : row.reason);
  for (const MetricChange& change : row.changes)
    lines.push_back(change_line(change));
  if (!row.changes.empty() && !row.breakdown.empty())
    lines.push_back("in the breakdown: " + listed(row.breakdown, move_text));
  explain_cause(row, gate, lines);
  if (row.changes.empty() && row.cause.inputs_changed())
    lines.emplace_back("no metric moved beyond its tolerance");
  return lines;
}

std::string how_to_accept(const Gate& gate)
{
  return fmt::format("podsim check {} --update", gate.baseline);
}

Page to_text(const Gate& gate, const Style& style)
{
  Page text;
  if (const std::string note = simgrid_note(gate); !note.empty())
    text += lay("  {}\n", note);
  for (const GateRow& row : gate.rows) {
    if (row.status == RowStatus::unchanged && row.level() == Level::none)
      continue;
    text += style.bold(lay("  {}  {}{}", row.scenario, status_text(row.status),
                           row.level() == Level::warning ? ", warning" : "")) +
            "\n";
    for (const std::string& line : explanation(row, gate))
      text += lay("    {}\n", line);
  }
  if (!gate.passed_over.empty())
    text += lay("  {}\n", gate.passed_over);
  const bool failed = std::any_of(gate.rows.begin(), gate.rows.end(),
                                  [](const GateRow& row) { return row.status == RowStatus::failed; });
  const char* done  = !gate.updated ? "" : failed ? "; what ran is accepted" : "; accepted";
  return text + lay("  {}: {}{}\n", gate.baseline, summary(gate), done);
}

std::string to_json(const Gate& gate)
{
  Ordered json{{"schema_version", gate_schema_version},
               {"baseline", gate.baseline},
               {"podsim_version", {{"was", gate.podsim_was}, {"now", gate.podsim_now}}},
               {"simgrid_version", {{"was", gate.simgrid_was}, {"now", gate.simgrid_now}}},
               {"updated", gate.updated}};
  if (const std::string note = simgrid_note(gate); !note.empty())
    json["note"] = note;
  if (!gate.passed_over.empty())
    json["passed_over"] = gate.passed_over;
  json["scenarios"] = Ordered::array();
  for (const GateRow& row : gate.rows)
    json["scenarios"].push_back(to_json(row, gate));
  return json.dump(2, ' ', false, Ordered::error_handler_t::replace) + "\n";
}

} // namespace podsim
