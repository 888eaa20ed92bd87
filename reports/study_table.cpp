#include "reports/study_table.hpp"

#include "reports/csv.hpp"
#include "reports/remarks.hpp"
#include "reports/text.hpp"
#include "sim/core/errors.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <optional>

namespace podsim {
namespace {

using Ordered = nlohmann::ordered_json;

std::optional<double> figure_of(const StudyRow& row, const std::string& name)
{
  const auto found = row.figures.find(name);
  return found == row.figures.end() || !std::isfinite(found->second) ? std::nullopt : std::optional(found->second);
}

std::string cell(const std::string& name, double value, const std::string& currency)
{
  const Figure& row = figure(name);
  return shown(row, value) + (row.form == Form::money ? " " + currency : "");
}

bool more_is_better(const std::string& metric)
{
  return figure(metric).better == Direction::more_is_better;
}

// Whether `a` is nowhere worse than `b` and somewhere better.
bool dominates(const StudyRow& a, const StudyRow& b, const std::vector<std::string>& metrics)
{
  bool better = false;
  for (const std::string& name : metrics) {
    const double sign = more_is_better(name) ? 1 : -1;
    const double mine = sign * a.figures.at(name);
    const double its  = sign * b.figures.at(name);
    if (mine < its)
      return false;
    better = better || mine > its;
  }
  return better;
}

void mark_front(std::vector<StudyRow>& rows, const std::vector<std::string>& metrics)
{
  std::vector<StudyRow*> candidates;
  for (StudyRow& row : rows)
    if (row.status == Status::ok && std::all_of(metrics.begin(), metrics.end(), [&](const std::string& name) {
          return figure_of(row, name).has_value();
        }))
      candidates.push_back(&row);
  // Best in the first metric first: whoever dominates a row stands before it, so that only the front so far is asked.
  std::stable_sort(candidates.begin(), candidates.end(), [&](const StudyRow* a, const StudyRow* b) {
    for (const std::string& name : metrics) {
      const double mine = a->figures.at(name);
      const double its  = b->figures.at(name);
      if (mine != its)
        return more_is_better(name) ? mine > its : mine < its;
    }
    return false;
  });
  std::vector<const StudyRow*> front;
  for (StudyRow* row : candidates)
    if (std::none_of(front.begin(), front.end(),
                     [&](const StudyRow* other) { return dominates(*other, *row, metrics); })) {
      row->on_front = true;
      front.push_back(row);
    }
}

void check_metric(const StudyTable& table, const std::string& option, const std::string& name, bool axes_too)
{
  std::vector<std::string> known = figure_names(Listing::study);
  if (axes_too)
    known.insert(known.end(), table.axes.begin(), table.axes.end());
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw InputError(fmt::format("{}: expected one of {}, found \"{}\"{}", option, fmt::join(known, ", "),
                                 printable(name), did_you_mean(name, known)));
  const bool has = std::any_of(table.rows.begin(), table.rows.end(),
                               [&](const StudyRow& row) { return row.figures.contains(name); });
  const bool any =
      std::any_of(table.rows.begin(), table.rows.end(), [](const StudyRow& row) { return row.status == Status::ok; });
  if (find_figure(Listing::study, name) && !has && any)
    throw InputError(fmt::format("{}: no row of this study has \"{}\"", option, name));
}

void sort_rows(StudyTable& table, const std::string& name)
{
  const auto axis = std::find(table.axes.begin(), table.axes.end(), name);
  if (find_figure(Listing::study, name)) {
    const bool more = more_is_better(name);
    std::stable_sort(table.rows.begin(), table.rows.end(), [&](const StudyRow& a, const StudyRow& b) {
      const auto mine = figure_of(a, name);
      const auto its  = figure_of(b, name);
      if (!mine || !its)
        return mine.has_value() && !its;
      return more ? *mine > *its : *mine < *its;
    });
  } else if (axis != table.axes.end()) { // by the order in which the study lists its values
    const auto at = static_cast<std::size_t>(axis - table.axes.begin());
    std::vector<std::string> order;
    for (const StudyRow& row : table.rows)
      if (std::find(order.begin(), order.end(), row.settings[at]) == order.end())
        order.push_back(row.settings[at]);
    const auto rank = [&](const StudyRow& row) { return std::find(order.begin(), order.end(), row.settings[at]); };
    std::stable_sort(table.rows.begin(), table.rows.end(),
                     [&](const StudyRow& a, const StudyRow& b) { return rank(a) < rank(b); });
  }
}

std::vector<std::string> remarks_of(const StudyTable& table)
{
  std::vector<std::string> all;
  for (const StudyRow& row : table.rows)
    if (row.status == Status::ok && !row.reason.empty())
      all.push_back(row.reason);
  return all;
}

struct Lines {
  std::vector<std::vector<std::string>> cells; // the head first
  std::size_t left = 0;                        // so many columns are words, and the rest numbers
};

Lines lines_of(const StudyTable& table, bool pareto)
{
  Lines lines;
  std::vector<std::string> head = table.axes;
  for (const std::string& metric : table.metrics)
    head.push_back(figure(metric).label);
  if (pareto)
    head.emplace_back("front");
  const bool remarked = !remarks_of(table).empty();
  if (remarked)
    head.emplace_back("");
  lines.cells.push_back(head);
  lines.left = table.axes.size();
  for (const StudyRow& row : table.rows) {
    if (row.status != Status::ok)
      continue;
    std::vector<std::string> cells = row.settings;
    for (const std::string& metric : table.metrics) {
      const auto value = figure_of(row, metric);
      cells.push_back(value ? cell(metric, *value, table.currency) : "-");
    }
    if (pareto)
      cells.emplace_back(row.on_front ? "*" : "");
    if (remarked)
      cells.emplace_back(row.reason.empty() ? "" : "!");
    lines.cells.push_back(std::move(cells));
  }
  return lines;
}

Page aligned(const Lines& lines, const Style& style)
{
  std::vector<std::size_t> widths(lines.cells.front().size(), 0);
  for (const auto& line : lines.cells)
    for (std::size_t c = 0; c < line.size(); ++c)
      widths[c] = std::max(widths[c], printable(line[c]).size());
  Page text;
  for (const auto& line : lines.cells) {
    Page one;
    for (std::size_t c = 0; c < line.size(); ++c)
      one += c < lines.left ? lay("  {:<{}}", printable(line[c]), widths[c]) : lay("  {:>{}}", line[c], widths[c]);
    one = one.trimmed();
    text += (&line == &lines.cells.front() ? style.bold(one) : one) + "\n";
  }
  return text;
}

const char* words_for(Status status)
{
  if (status == Status::ok)
    return "ran";
  if (status == Status::memory)
    return "not fitting in memory";
  if (status == Status::mesh)
    return "with a mesh that the machine cannot hold";
  if (status == Status::input)
    return "inconsistent";
  if (status == Status::time)
    return "too long for the simulator's clock";
  return word(status);
}

std::string with_status(Status status, const std::string& reason)
{
  const std::string own = word(status);
  return reason.empty() ? own : reason.starts_with(own + ": ") ? reason : own + ": " + reason;
}

Page summary(const StudyTable& table, const StudyView& view, const Style& style)
{
  std::size_t all = 0;
  for (const auto& [status, count] : table.counts)
    all += count;
  std::vector<std::string> parts;
  for (const auto& [status, count] : table.counts)
    parts.push_back(fmt::format("{} {}", count, words_for(status)));
  Page text = lay("  {} combination{}: {}\n", all, all == 1 ? "" : "s", joined(parts, ", "));
  text += remarks_text(remarks_of(table));
  for (const auto& [constraint, count] : table.left_out)
    if (count > 0)
      text += lay("  left out {}: {}\n", count, printable(constraint));
  if (table.other_shards > 0)
    text += lay("  {} more in other shards\n", table.other_shards);
  constexpr std::size_t most = 8;
  for (std::size_t i = 0; i < std::min(table.reasons.size(), most); ++i) {
    const StudyTable::Reason& one = table.reasons[i];
    text += style.dim(lay("  {:>5} {}", one.rows, with_status(one.status, one.text))) + "\n";
  }
  if (table.reasons.size() > most)
    text += lay("        and {} more reasons: --list-failures\n", table.reasons.size() - most);
  const auto again = [](const auto& entry) {
    return std::find(worth_a_retry.begin(), worth_a_retry.end(), entry.first) != worth_a_retry.end();
  };
  if (std::any_of(table.counts.begin(), table.counts.end(), again))
    text += "  podsim sweep --retry runs again what failed, crashed, was killed or timed out\n";
  if (view.list_failures)
    for (const StudyRow& row : table.rows)
      if (row.status != Status::ok)
        text += lay("  {}: {}\n", joined(row.settings, ", "), with_status(row.status, row.reason));
  return text;
}

} // namespace

void arrange(StudyTable& table, const StudyView& view)
{
  for (const std::string& name : view.pareto)
    check_metric(table, "--pareto", name, false);
  if (!view.sort.empty())
    check_metric(table, "--sort", view.sort, true);
  const auto count = [&](Status status) {
    for (auto& [known, number] : table.counts)
      if (known == status) {
        ++number;
        return;
      }
    table.counts.emplace_back(status, 1);
  };
  for (const StudyRow& row : table.rows) {
    count(row.status);
    table.failed += row.status != Status::ok && row.status != Status::not_run ? 1 : 0;
    if (row.status == Status::ok || row.reason.empty())
      continue;
    auto known = std::find_if(table.reasons.begin(), table.reasons.end(), [&](const StudyTable::Reason& one) {
      return one.status == row.status && one.text == row.reason;
    });
    if (known == table.reasons.end())
      known = table.reasons.insert(known, {row.status, row.reason, 0});
    ++known->rows;
  }
  std::stable_sort(table.counts.begin(), table.counts.end(),
                   [](const auto& a, const auto& b) { return a.first == Status::ok && b.first != Status::ok; });
  if (!view.pareto.empty())
    mark_front(table.rows, view.pareto);
  sort_rows(table, view.sort);
  std::stable_partition(table.rows.begin(), table.rows.end(),
                        [](const StudyRow& row) { return row.status == Status::ok; });
  if (view.top == 0)
    return;
  std::size_t kept = 0;
  std::erase_if(table.rows, [&](const StudyRow& row) { return row.status == Status::ok && kept++ >= view.top; });
}

Page to_text(const StudyTable& table, const StudyView& view, const Style& style)
{
  Page text = style.bold(lay("{}", table.name)) + "\n";
  if (!table.question.empty())
    text += lay("{}\n", table.question);
  text += "\n";
  const Lines lines = lines_of(table, !view.pareto.empty());
  if (lines.cells.size() > 1)
    text += aligned(lines, style) + "\n";
  return text + summary(table, view, style);
}

std::string to_csv(const StudyTable& table, const StudyView& view)
{
  std::vector<std::string> head{"number"};
  head.insert(head.end(), table.axes.begin(), table.axes.end());
  head.insert(head.end(), {"status", "reason"});
  head.insert(head.end(), table.metrics.begin(), table.metrics.end());
  if (!view.pareto.empty())
    head.emplace_back("front");
  head.emplace_back("remarks");
  std::string text = csv_line(head);
  for (const StudyRow& row : table.rows) {
    std::vector<std::string> fields{std::to_string(row.number)};
    fields.insert(fields.end(), row.settings.begin(), row.settings.end());
    const bool ran = row.status == Status::ok;
    fields.insert(fields.end(), {word(row.status), ran ? "" : row.reason});
    for (const std::string& metric : table.metrics) {
      const auto value = figure_of(row, metric);
      fields.push_back(value ? fmt::format("{}", *value) : "");
    }
    if (!view.pareto.empty())
      fields.emplace_back(row.on_front ? "1" : "0");
    fields.push_back(ran ? row.reason : "");
    text += csv_line(fields);
  }
  return text;
}

std::string to_json_lines(const StudyTable& table, const StudyView& view)
{
  std::string text;
  for (const StudyRow& row : table.rows) {
    Ordered json{
        {"schema_version", study_table_schema_version}, {"number", row.number}, {"settings", Ordered::object()}};
    for (std::size_t i = 0; i < table.axes.size(); ++i)
      json["settings"][table.axes[i]] = row.settings[i];
    json["status"] = word(row.status);
    if (!row.reason.empty())
      json[row.status == Status::ok ? "remarks" : "reason"] = row.reason;
    for (const std::string& metric : table.metrics)
      if (const auto value = figure_of(row, metric))
        json[metric] = *value;
    if (!table.currency.empty() && json.contains("cost"))
      json["currency"] = table.currency;
    if (!view.pareto.empty())
      json["front"] = row.on_front;
    text += json.dump(-1, ' ', false, Ordered::error_handler_t::replace) + "\n";
  }
  return text;
}

} // namespace podsim
