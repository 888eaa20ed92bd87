#include "reports/comparison.hpp"

#include "reports/csv.hpp"
#include "reports/remarks.hpp"
#include "reports/text.hpp"
#include "sim/evaluate/figures.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

using Ordered = nlohmann::ordered_json;
using Pairs   = std::vector<std::pair<std::string, double>>;

// One row of the table: its key, a person's words, a cell for each column, and its number there.
struct Row {
  std::string key, label;
  std::vector<std::string> cells;
  std::vector<std::optional<double>> numbers;
  bool heading = false;
};

std::optional<double> find(const Pairs& pairs, const std::string& name)
{
  for (const auto& [known, value] : pairs)
    if (known == name)
      return value;
  return {};
}

// Of what ran, the step's parts; of what could be laid out, the memory's.
Pairs breakdown_of(const Evaluation& run)
{
  Pairs parts;
  if (run.metrics)
    for (const auto& [name, time] : run.metrics->breakdowns[run.metrics->critical])
      parts.emplace_back(name, time.value());
  return parts;
}

Pairs memory_of(const Evaluation& run)
{
  Pairs parts;
  if (!run.memory)
    return parts;
  for (const MemoryRow& row : memory_rows(*run.memory))
    parts.emplace_back(row.key, row.size.value());
  parts.emplace_back("total", run.memory->total().value());
  parts.emplace_back("capacity", run.capacity.value());
  return parts;
}

// Ratios are answers of a study, and stand in no row.
std::vector<PublishedFigure> predicted_figures(const Evaluation& run)
{
  std::vector<PublishedFigure> all = run.published;
  std::erase_if(all,
                [&](const PublishedFigure& figure) { return !figure.relative_to.empty() || !predicted(figure, run); });
  return all;
}

// What was published of a figure, in brackets: "17.60 s", "46.2 %".
std::string published_of(const Evaluation& run, const Figure& figure, Counting counting)
{
  for (const PublishedFigure& one : predicted_figures(run))
    if (one.metric == &figure && one.counting == counting)
      return " [" + shown(figure, one.value) + "]";
  return "";
}

class Table {
public:
  explicit Table(const Comparison& comparison) : columns_(comparison.columns)
  {
    for (const Figure* figure : figures_in(Listing::comparison))
      if (!figure->of_some || std::any_of(columns_.begin(), columns_.end(),
                                          [&](const Column& one) { return value_of(*figure, one.run).has_value(); }))
        add_figure(*figure);
    add_further_figures();
    add_parts("breakdown", "step, of which", breakdown_of);
    add_parts("memory", "memory a chip", memory_of);
  }
  const std::vector<Row>& rows() const { return rows_; }

private:
  template <class Cell> Row& add(const std::string& key, const std::string& label, const Cell& cell)
  {
    Row row{key, label, {}, {}};
    for (const Column& column : columns_) {
      const auto [text, number] = cell(column);
      row.cells.push_back(text);
      row.numbers.push_back(number);
    }
    return rows_.emplace_back(std::move(row));
  }

  using Shown = std::pair<std::string, std::optional<double>>;

  void add_figure(const Figure& figure)
  {
    const Counting own = figure.conventions.front().second;
    add(figure.name, figure.label, [&](const Column& column) -> Shown {
      const auto value = value_of(figure, column.run);
      if (!value)
        return {"-", {}};
      return {shown(figure, *value) + published_of(column.run, figure, own), value};
    });
  }

  // Published figures that have no row yet, of the scenarios that they were published for.
  void add_further_figures()
  {
    std::vector<std::pair<const Figure*, Counting>> met;
    for (const Figure* figure : figures_in(Listing::comparison))
      met.emplace_back(figure, figure->conventions.front().second);
    for (const Column& column : columns_)
      for (const PublishedFigure& one : predicted_figures(column.run)) {
        const Figure& figure = *one.metric;
        if (std::find(met.begin(), met.end(), std::pair(&figure, one.counting)) != met.end())
          continue;
        met.emplace_back(&figure, one.counting);
        const bool plain = one.counting == Counting::none;
        add(plain ? figure.name : figure.name + " " + one.convention,
            plain ? figure.label : figure.label + ", " + one.convention, [&](const Column& each) -> Shown {
              const std::string published = published_of(each.run, figure, one.counting);
              if (published.empty())
                return {"-", {}};
              const auto value = value_of(figure, each.run, one.counting);
              return {shown(figure, *value) + published, value};
            });
      }
  }

  template <class Part> void add_parts(const std::string& what, const std::string& heading, const Part& part)
  {
    const bool memory = what == "memory";
    std::vector<std::string> names; // of all columns, those that are nowhere above zero left out
    for (const Column& column : columns_)
      for (const auto& [name, value] : part(column.run))
        if (value > 0 && name != "total" && name != "capacity" &&
            std::find(names.begin(), names.end(), name) == names.end())
          names.push_back(name);
    if (names.empty())
      return;
    const auto last = [](const std::string& name) { return name == "idle" ? 2 : name == "optimizer" ? 1 : 0; };
    std::stable_sort(names.begin(), names.end(),
                     [&](const std::string& a, const std::string& b) { return last(a) < last(b); });
    if (memory)
      add("memory_total", heading, [&](const Column& column) -> Shown {
        const auto total = find(part(column.run), "total");
        return {total ? format(Bytes(*total)) : "-", total};
      });
    else
      add("", heading, [](const Column&) -> Shown { return {"", {}}; }).heading = true;
    for (const std::string& name : names)
      add(fmt::format("{}_{}", what, name), "  " + breakdown_words(name), [&](const Column& column) -> Shown {
        const auto value = find(part(column.run), name);
        if (!value || !(*value > 0))
          return {"-", value};
        if (memory)
          return {format(Bytes(*value)), value};
        const auto step = value_of(figure("step_time"), column.run);
        return {fmt::format("{} {:>4.1f} %", format(Seconds(*value)), 100 * *value / step.value_or(*value)), value};
      });
  }

  const std::vector<Column>& columns_;
  std::vector<Row> rows_;
};

// The table in blocks of as many columns as fit.
Page table_text(const Comparison& comparison, const std::vector<Row>& rows, const Style& style)
{
  constexpr std::size_t line   = 120;
  constexpr std::size_t widest = 5; // columns in a block
  std::size_t label_width      = 0;
  for (const Row& row : rows)
    label_width = std::max(label_width, row.label.size());
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < comparison.columns.size(); ++c) {
    widths.push_back(std::max<std::size_t>(one_line(comparison.columns[c].label).size(), 10));
    for (const Row& row : rows)
      widths.back() = std::max(widths.back(), row.cells[c].size());
  }
  Page text;
  for (std::size_t first = 0; first < widths.size();) {
    std::size_t last = first;
    for (std::size_t used = 2 + label_width; last < widths.size() && last - first < widest; ++last) {
      used += 2 + widths[last];
      if (used > line && last > first)
        break;
    }
    const auto print_line = [&](const std::string& label, const std::function<std::string(std::size_t)>& cell) {
      Page one = lay("  {:<{}}", label, label_width);
      for (std::size_t c = first; c < last; ++c)
        one += lay("  {:>{}}", cell(c), widths[c]);
      return one.trimmed();
    };
    text += "\n" + style.bold(print_line("", [&](std::size_t c) { return comparison.columns[c].label; })) + "\n";
    for (const Row& row : rows) {
      const Page one = print_line(row.label, [&](std::size_t c) { return row.cells[c]; });
      text += (row.heading ? style.dim(one) : one) + "\n";
    }
    first = last;
  }
  return text;
}

std::string answer(const Ratio& ratio)
{
  const std::string value = ratio.value ? fmt::format("{:.3g}", *ratio.value) : "(could not run)";
  if (ratio.says.empty())
    return fmt::format("{}: {} over {} is {}", ratio.metric, ratio.of, ratio.over, value);
  std::string text = ratio.says;
  if (const auto at = text.find("{}"); at != std::string::npos)
    text.replace(at, 2, value);
  return text;
}

Ordered to_json(const Pairs& pairs)
{
  Ordered json = Ordered::object();
  for (const auto& [name, value] : pairs)
    if (std::isfinite(value))
      json[name] = value;
  return json;
}

Ordered to_json(const Column& column)
{
  const Evaluation& run = column.run;
  Ordered json{{"label", column.label},  {"file", column.file}, {"scenario", run.scenario},  {"model", run.model},
               {"machine", run.machine}, {"mesh", run.mesh},    {"status", word(run.status)}};
  if (!run.reason.empty())
    json["reason"] = run.reason;
  for (const Figure* figure : figures_in(Listing::comparison))
    if (const auto value = json_value(*figure, run))
      json[figure->json_name] = *value;
  json["remarks"]               = remarks(run);
  json["breakdown_s"]           = to_json(breakdown_of(run));
  json["memory_per_chip_bytes"] = to_json(memory_of(run));
  json["published"]             = Ordered::array();
  for (const PublishedFigure& figure : predicted_figures(run)) {
    const auto& [unit, base_units] = figure.metric->units.front();
    const double own               = *predicted(figure, run);
    json["published"].push_back({{"id", figure.id},
                                 {"metric", figure.metric->name},
                                 {"convention", figure.convention},
                                 {"value", figure.value / base_units},
                                 {"predicted", own / base_units},
                                 {"unit", unit},
                                 {"relative_error", own / figure.value - 1},
                                 {"calibration", figure.calibration}});
  }
  return json;
}

} // namespace

Page to_text(const Comparison& comparison, const Style& style)
{
  Page text;
  if (!comparison.name.empty())
    text += style.bold(lay("{}", comparison.name)) + "\n";
  if (!comparison.question.empty())
    text += lay("{}\n", comparison.question);
  if (!text.empty())
    text += "\n";
  for (const Column& column : comparison.columns) {
    text += lay("  {}: {}{}\n", style.bold(lay("{}", column.label)), column.run.scenario,
                column.run.machine.empty() ? "" : "; " + column.run.machine);
    if (column.run.status != Status::ok)
      text += lay("    cannot run ({}): {}\n", word(column.run.status), column.run.reason);
    for (const std::string& remark : remarks(column.run))
      text += lay("    ! {}\n", remark);
  }
  const Table table(comparison);
  text += table_text(comparison, table.rows(), style);
  if (std::any_of(comparison.columns.begin(), comparison.columns.end(),
                  [](const Column& column) { return !predicted_figures(column.run).empty(); }))
    text += style.dim("  (in brackets: as published)") + "\n";
  if (!comparison.ratios.empty())
    text += "\n";
  for (const Ratio& ratio : comparison.ratios)
    text += "  " + style.bold(lay("{}", answer(ratio))) + "\n";
  return text;
}

std::string to_json(const Comparison& comparison)
{
  Ordered json{{"schema_version", comparison_schema_version}, {"podsim_version", PODSIM_VERSION}};
  if (!comparison.name.empty())
    json["name"] = comparison.name;
  if (!comparison.question.empty())
    json["question"] = comparison.question;
  json["scenarios"] = Ordered::array();
  for (const Column& column : comparison.columns)
    json["scenarios"].push_back(to_json(column));
  json["ratios"] = Ordered::array();
  for (const Ratio& ratio : comparison.ratios) {
    Ordered row{{"metric", ratio.metric}, {"of", ratio.of}, {"over", ratio.over}};
    if (ratio.value)
      row["value"] = *ratio.value;
    row["answer"] = answer(ratio);
    json["ratios"].push_back(std::move(row));
  }
  return json.dump(2, ' ', false, Ordered::error_handler_t::replace) + "\n";
}

std::string to_csv(const Comparison& comparison)
{
  std::vector<std::string> head{"metric"};
  std::vector<std::string> status{"status"};
  for (const Column& column : comparison.columns) {
    head.push_back(column.label);
    status.push_back(word(column.run.status));
  }
  std::string text = csv_line(head) + csv_line(status);
  const Table table(comparison);
  for (const Row& row : table.rows()) {
    if (row.heading)
      continue;
    std::vector<std::string> fields{row.key};
    for (const auto& number : row.numbers)
      fields.push_back(number ? fmt::format("{}", *number) : "");
    text += csv_line(fields);
  }
  std::vector<std::string> remarked{"remarks"};
  for (const Column& column : comparison.columns)
    remarked.push_back(fmt::format("{}", fmt::join(remarks(column.run), "; ")));
  return text + csv_line(remarked);
}

} // namespace podsim
