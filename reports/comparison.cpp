#include "reports/comparison.hpp"

#include "reports/csv.hpp"
#include "reports/remarks.hpp"
#include "reports/text.hpp"

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

std::string energy(double joules)
{
  return joules < 1 ? fmt::format("{:.3g} mJ", joules * 1e3) : fmt::format("{:.3g} J", joules);
}

// The metric of the table of published figures that a row shows, if it is one.
const MetricInfo* metric_named(const std::string& name)
{
  for (const MetricInfo& row : metric_table())
    if (row.name == name)
      return &row;
  return nullptr;
}

// What was published of a figure, in brackets: "17.60 s", "46.2 %".
std::string published_of(const Column& column, const MetricInfo& metric, const std::string& convention)
{
  for (const Column::Published& figure : column.published)
    if (figure.metric == metric.name && figure.convention == convention)
      return " [" + shown(metric.metric, figure.value) + "]";
  return "";
}

class Table {
public:
  explicit Table(const Comparison& comparison) : columns_(comparison.columns)
  {
    for (const std::string& name : compared_values())
      if (name != "dropped_choices" || // which models without experts have not
          std::any_of(columns_.begin(), columns_.end(), [&](const Column& one) { return one.value(name).has_value(); }))
        add_value(name);
    add_further_figures();
    add_parts("breakdown", "step, of which", [](const Column& column) -> const Pairs& { return column.breakdown; });
    add_parts("memory", "memory a chip", [](const Column& column) -> const Pairs& { return column.memory; });
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

  void add_value(const std::string& name)
  {
    const MetricInfo* metric = metric_named(name);
    const std::string label  = metric                       ? metric->label
                               : name == "energy_per_token" ? "energy a token"
                               : name == "dropped_choices"  ? "choices dropped"
                                                            : name;
    add(name, label, [&](const Column& column) -> Shown {
      const auto value = column.value(name);
      if (!value)
        return {"-", {}};
      if (!metric)
        return {name == "chips"             ? fmt::format("{:.0f}", *value)
                : name == "dropped_choices" ? fmt::format("{:.1f} %", 100 * *value)
                                            : energy(*value),
                value};
      return {shown(metric->metric, *value) + published_of(column, *metric, metric->conventions.front().first), value};
    });
  }

  // Published figures that have no row among the values.
  void add_further_figures()
  {
    std::vector<std::pair<std::string, std::string>> met; // metric and convention
    for (const Column& column : columns_)
      for (const Column::Published& figure : column.published) {
        const MetricInfo& metric = *metric_named(figure.metric);
        const bool has_row =
            figure.convention == metric.conventions.front().first &&
            std::find(compared_values().begin(), compared_values().end(), figure.metric) != compared_values().end();
        const std::pair key(figure.metric, figure.convention);
        if (has_row || std::find(met.begin(), met.end(), key) != met.end())
          continue;
        met.push_back(key);
        const bool plain = figure.convention == "none";
        add(plain ? figure.metric : figure.metric + " " + figure.convention,
            plain ? metric.label : metric.label + ", " + figure.convention, [&](const Column& each) -> Shown {
              for (const Column::Published& own : each.published)
                if (own.metric == key.first && own.convention == key.second)
                  return {shown(metric.metric, own.predicted) + published_of(each, metric, key.second), own.predicted};
              return {"-", {}};
            });
      }
  }

  template <class Part> void add_parts(const std::string& what, const std::string& heading, const Part& part)
  {
    const bool memory = what == "memory";
    std::vector<std::string> names; // of all columns, those that are nowhere above zero left out
    for (const Column& column : columns_)
      for (const auto& [name, value] : part(column))
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
        const auto total = find(part(column), "total");
        return {total ? format(Bytes(*total)) : "-", total};
      });
    else
      add("", heading, [](const Column&) -> Shown { return {"", {}}; }).heading = true;
    for (const std::string& name : names)
      add(fmt::format("{}_{}", what, name), "  " + breakdown_words(name), [&](const Column& column) -> Shown {
        const auto value = find(part(column), name);
        if (!value || !(*value > 0))
          return {"-", value};
        if (memory)
          return {format(Bytes(*value)), value};
        const auto step = column.value("step_time");
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
  Ordered json{{"label", column.label},        {"file", column.file},       {"scenario", column.scenario},
               {"model", column.model},        {"machine", column.machine}, {"mesh", column.mesh},
               {"status", word(column.status)}};
  if (!column.reason.empty())
    json["reason"] = column.reason;
  for (const auto& [name, value] : column.values) // under the names that a run's JSON has
    json[name == "step_time" ? "step_time_s" : name == "energy_per_token" ? "energy_per_token_j" : name] = value;
  json["remarks"]               = column.remarks;
  json["breakdown_s"]           = to_json(column.breakdown);
  json["memory_per_chip_bytes"] = to_json(column.memory);
  json["published"]             = Ordered::array();
  for (const Column::Published& figure : column.published) {
    const MetricInfo& metric = *metric_named(figure.metric);
    json["published"].push_back({{"id", figure.id},
                                 {"metric", figure.metric},
                                 {"convention", figure.convention},
                                 {"value", figure.value / metric.units.front().second},
                                 {"predicted", figure.predicted / metric.units.front().second},
                                 {"unit", metric.units.front().first},
                                 {"relative_error", figure.predicted / figure.value - 1},
                                 {"calibration", figure.calibration}});
  }
  return json;
}

} // namespace

std::optional<double> Column::value(const std::string& name) const
{
  return find(values, name);
}

const std::vector<std::string>& compared_values()
{
  static const std::vector<std::string> names{"chips", "step_time", "tokens_per_s",     "tokens_per_s_per_chip",
                                              "mfu",   "hfu",       "energy_per_token", "dropped_choices"};
  return names;
}

Column column_of(const Evaluation& result)
{
  Column column;
  column.scenario = result.scenario;
  column.model    = result.model;
  column.machine  = result.machine;
  column.mesh     = result.mesh;
  column.status   = result.status;
  column.reason   = result.reason;
  column.remarks  = remarks(result);
  if (result.memory) {
    for (const MemoryRow& row : memory_rows(*result.memory))
      column.memory.emplace_back(row.key, row.size.value());
    column.memory.emplace_back("total", result.memory->total().value());
    column.memory.emplace_back("capacity", result.capacity.value());
  }
  if (!result.metrics)
    return column;
  const Metrics& metrics = *result.metrics;
  const auto dropped     = result.experts ? std::optional(result.experts->dropped) : std::nullopt;
  for (const std::string& name : compared_values()) {
    const MetricInfo* metric = metric_named(name);
    const auto value         = metric ? predicted(metric->metric, metric->conventions.front().second, metrics)
                               : name == "chips"           ? std::optional(metrics.chips)
                               : name == "dropped_choices" ? dropped
                                                           : result.energy_per_token;
    if (value)
      column.values.emplace_back(name, *value);
  }
  for (const auto& [name, time] : metrics.breakdowns[metrics.critical])
    column.breakdown.emplace_back(name, time.value());
  for (const PublishedFigure& figure : result.published)
    if (const auto own = predicted(figure.metric, figure.counting, metrics); own && figure.relative_to.empty())
      column.published.push_back(
          {figure.id, info(figure.metric).name, figure.convention, figure.value, *own, figure.calibration});
  return column;
}

std::string column_to_bytes(const Column& column)
{
  Ordered published = Ordered::array();
  for (const Column::Published& one : column.published)
    published.push_back({one.id, one.metric, one.convention, one.value, one.predicted, one.calibration});
  return Ordered{{"scenario", column.scenario}, {"model", column.model},         {"machine", column.machine},
                 {"mesh", column.mesh},         {"status", word(column.status)}, {"reason", column.reason},
                 {"values", column.values},     {"memory", column.memory},       {"breakdown", column.breakdown},
                 {"published", published},      {"remarks", column.remarks}}
      .dump(-1, ' ', false, Ordered::error_handler_t::replace);
}

void column_from_bytes(const std::string& bytes, Column& column)
{
  const Ordered json = Ordered::parse(bytes);
  column.scenario    = json.at("scenario");
  column.model       = json.at("model");
  column.machine     = json.at("machine");
  column.mesh        = json.at("mesh");
  column.status      = status_of(json.at("status"));
  column.reason      = json.at("reason");
  column.values      = json.at("values").get<Pairs>();
  column.memory      = json.at("memory").get<Pairs>();
  column.breakdown   = json.at("breakdown").get<Pairs>();
  column.remarks     = json.at("remarks").get<std::vector<std::string>>();
  for (const Ordered& one : json.at("published"))
    column.published.push_back({one[0], one[1], one[2], one[3], one[4], one[5]});
}

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
    text += lay("  {}: {}{}\n", style.bold(lay("{}", column.label)), column.scenario,
                column.machine.empty() ? "" : "; " + column.machine);
    if (column.status != Status::ok)
      text += lay("    cannot run ({}): {}\n", word(column.status), column.reason);
    for (const std::string& remark : column.remarks)
      text += lay("    ! {}\n", remark);
  }
  const Table table(comparison);
  text += table_text(comparison, table.rows(), style);
  if (std::any_of(comparison.columns.begin(), comparison.columns.end(),
                  [](const Column& column) { return !column.published.empty(); }))
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
    status.push_back(word(column.status));
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
    remarked.push_back(fmt::format("{}", fmt::join(column.remarks, "; ")));
  return text + csv_line(remarked);
}

} // namespace podsim
