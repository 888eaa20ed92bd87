#include "reports/text.hpp"

#include "reports/remarks.hpp"
#include "sim/evaluate/figures.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace podsim {
namespace {

// What is shown in a row: a figure, in the convention of a source where there are several.
struct Row {
  const Figure* figure;
  Counting counting;
  std::string convention; // named in the label unless it is podsim's own
  friend bool operator==(const Row& a, const Row& b) { return a.figure == b.figure && a.counting == b.counting; }
};

Row row_of(const PublishedFigure& figure)
{
  return {figure.metric, figure.counting, figure.convention};
}

std::string label(const Row& row)
{
  const Figure& figure = *row.figure;
  return row.counting == figure.conventions.front().second ? figure.label
                                                           : fmt::format("{}, {}", figure.label, row.convention);
}

// Utilisations differ in points, the rest in per cent of the published figure.
std::string difference(const Figure& figure, double own, double published)
{
  if (figure.form == Form::percent)
    return fmt::format("{:+.1f} points", 100 * (own - published));
  return fmt::format("{:+.1f} %", 100 * (own / published - 1));
}

// The rows that every report of such a run has, and after them what else was published.
std::vector<Row> rows_of(const Evaluation& result)
{
  std::vector<Row> rows;
  for (const Figure* figure : figures_in(Listing::report))
    if (value_of(*figure, result))
      rows.push_back({figure, figure->conventions.front().second, ""});
  for (const PublishedFigure& figure : result.published)
    if (const Row row = row_of(figure);
        figure.relative_to.empty() && std::find(rows.begin(), rows.end(), row) == rows.end())
      rows.push_back(row);
  return rows;
}

// What stands beside the prediction: each figure that was published of it.
std::vector<std::string> beside(const Evaluation& result, const Row& row, std::optional<double> own)
{
  std::vector<std::string> all;
  const auto compare = [&](double published, const std::string& remark) {
    all.push_back(fmt::format("{:>12}   {}{}", shown(*row.figure, published),
                              own ? difference(*row.figure, *own, published) : "no prediction", remark));
  };
  for (const PublishedFigure& figure : result.published)
    if (figure.relative_to.empty() && row == row_of(figure))
      compare(figure.value, fmt::format("  ({}{})", figure.statistic, figure.calibration ? "; fitted: no test" : ""));
  if (row.figure->name == "step_time" && all.empty())
    for (const PublishedFigure& figure : result.published)
      if (figure.metric->name == "tokens_per_s" && figure.relative_to.empty() && all.empty())
        compare(result.metrics->tokens_per_step / figure.value, "  (from tokens/s)");
  if (all.empty())
    all.push_back(fmt::format("{:>12}", "-"));
  return all;
}

Page figures(const Evaluation& result, const Style& style)
{
  Page text = style.dim(lay("  {:<22}{:>12}{:>12}   {}\n", "", "predicted", "published", "difference"));
  for (const Row& row : rows_of(result)) {
    const auto own         = value_of(*row.figure, result, row.counting);
    const std::string left = own ? shown(*row.figure, *own) : "-";
    bool first             = true;
    for (const std::string& line : beside(result, row, own)) {
      text += style.bold(lay("  {:<22}{:>12}", first ? label(row) : "", first ? left : "")) + lay("{}\n", line);
      first = false;
    }
  }
  for (const PublishedFigure& figure : result.published)
    if (!figure.relative_to.empty())
      text += lay("  {:<22}{:>12}{:>12}   of {}: compared by podsim validate\n", label(row_of(figure)) + " ratio", "",
                  fmt::format("{:.4g} x", figure.value), figure.relative_to);
  return text;
}

Page validated(const ErrorBar& bar)
{
  if (!bar.missing.empty())
    return lay("  validated unknown: {}\n", bar.missing);
  if (bar.count == 0)
    return lay("  validated not: no training step published for {} is among podsim's scenarios\n", bar.family);
  return lay("  validated {}: {} case{}, mean error {:.1f} %, largest {:.1f} % (podsim validate --family "
             "\"{}\")\n",
             bar.family, bar.count, bar.count == 1 ? "" : "s", 100 * bar.mean, 100 * bar.largest, bar.family);
}

// A label, its value, and what it consists of, in lines that fit a terminal.
Page wrapped(const char* label, const Page& value, const std::vector<std::string>& terms)
{
  constexpr std::size_t columns = 110;
  const std::size_t indent      = std::string_view(label).size();
  Page text                     = label + value;
  std::size_t used              = text.text().size();
  for (const std::string& term : terms) {
    if (used + 1 + term.size() > columns) {
      text += lay("\n{:{}}{}", "", indent, term);
      used = indent + term.size();
    } else {
      text += lay(" {}", term);
      used += 1 + term.size();
    }
  }
  return text + "\n";
}

Breakdown largest_first(Breakdown parts)
{
  std::erase_if(parts, [](const auto& part) { return part.second <= Seconds(0); });
  std::stable_sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return parts;
}

// The step as a sum. Its figures are rounded so that they add up: the largest takes what rounding leaves.
Page sum_text(const Breakdown& parts, Seconds step, const Style& style)
{
  const double unit      = step >= Seconds(1) ? 1 : step >= Seconds(1e-3) ? 1e-3 : 1e-6;
  const char* name       = unit == 1 ? "s" : unit == 1e-3 ? "ms" : "us";
  const auto thousandths = [&](Seconds time) { return std::llround(time.value() / unit * 1e3); };
  long long rest         = thousandths(step);
  for (const auto& [part, time] : parts)
    rest -= thousandths(time);
  std::vector<std::string> terms;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto shown = static_cast<double>(thousandths(parts[i].second) + (i == 0 ? rest : 0)) / 1e3;
    if (shown > 0)
      terms.push_back(fmt::format("{}{:.3f} {} ({:.1f} %)", i == 0 ? "= " : "+ ", shown,
                                  breakdown_words(parts[i].first), 100 * (parts[i].second / step)));
  }
  return wrapped("  step      ", style.bold(lay("{:.3f} {}", step.value() / unit, name)), terms);
}

Page bounds(const Breakdown& parts, Seconds step)
{
  Page text =
      lay("  bound by  {}, {:.0f} % of the step", breakdown_words(parts[0].first), 100 * (parts[0].second / step));
  if (parts.size() > 1)
    text += lay("; the next bound is {}, {:.0f} %", breakdown_words(parts[1].first), 100 * (parts[1].second / step));
  return text + "\n";
}

// What the faults cost, each alone, and all together.
Page fault_text(const FaultReport& faults, const Metrics& metrics, const std::string& device, const Style& style)
{
  const auto row = [&](const std::string& what, Seconds step, double mfu) {
    const double slower = step / faults.healthy_step - 1;
    return lay("            {:<50}{:>10}{:>9}{}\n", what, format(step), lay("{:+.1f} %", 100 * slower),
               mfu > 0 ? lay("{:>9.1f} %{:>+7.1f} points", 100 * mfu, 100 * (mfu - faults.healthy_mfu)) : "");
  };
  Page text = style.dim(lay("  faults    {:<50}{:>10}{:>9}{}\n", "", "step", "slower",
                            metrics.mfu > 0 ? lay("{:>11}", "MFU") : "")) +
              row("none", faults.healthy_step, faults.healthy_mfu);
  for (const FaultCost& one : faults.each)
    text += row(one.name, one.step_time, one.mfu);
  if (faults.each.size() > 1)
    text += row("all of these", metrics.step_time, metrics.mfu);
  if (!faults.bound.empty())
    text += lay("            a bound: {}; between {:.6g} and {:.6g} s\n", faults.bound, faults.at_least.value(),
                metrics.step_time.value());
  return text + lay("            waits least: {} {}{} like {}\n", faults.slowest.devices, device,
                    faults.slowest.devices == 1 ? "" : "s", faults.slowest.one);
}

Page simulated(const SimulationInfo& info, const std::string& device)
{
  const Page of = info.chips == info.devices ? Page() : lay(" of {} chip{}", info.chips, info.chips == 1 ? "" : "s");
  const Page classes =
      info.folded ? lay("as {} class{}", info.classes, info.classes == 1 ? "" : "es") : Page("one by one");
  const char* how = !info.chunked                            ? "as one event each"
                    : info.granularity == Granularity::chunk ? "chunk by chunk"
                                                             : "chunk by chunk where they may meet";
  Page text       = lay("  simulated {} {}{}{} {}, ", info.devices, device, info.devices == 1 ? "" : "s", of, classes) +
              (info.by_recurrence ? lay("by recurrence over stages, without events")
                                  : lay("{} events, collectives {}", info.activities, how));
  const auto part = [&](std::int64_t count, const char* what) {
    return count > 0 ? lay(", {} {} as repetitions", count, what) : Page();
  };
  text += part(info.repeated_layers, "layers") + part(info.repeated_micro_batches, "micro-batches");
  if (info.fold_stopped)
    text += ", in full";
  if (info.wall)
    text += lay(", in {}", format(*info.wall));
  return text + "\n";
}

std::vector<std::string> words_of(const std::string& text)
{
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string thousands(double value)
{
  constexpr double many = 9'999.5; // what does not round to four digits
  return value < 100          ? fmt::format("{:.2f}", value)
         : value < many       ? fmt::format("{:.0f}", value)
         : value < 1e2 * many ? fmt::format("{:.1f} k", value / 1e3)
                              : fmt::format("{:.2f} M", value / 1e6);
}

} // namespace

Page remark_lines(const Evaluation& result)
{
  Page text;
  if (const auto& experts = result.experts; experts && experts->dropped == 0)
    text += lay("  experts   {} of {} a token; no choice is dropped if all experts are chosen alike\n", experts->top_k,
                experts->count);
  for (const std::string& remark : remarks(result)) {
    const std::vector<std::string> words = words_of(remark);
    text += wrapped("  remark    ", lay("{}", words.front()), {words.begin() + 1, words.end()});
  }
  return text;
}

std::string breakdown_words(std::string name)
{
  if (name.starts_with("exposed_ici_"))
    return "exposed ICI " + name.substr(12);
  if (name.starts_with("exposed_dcn_"))
    return "exposed DCN " + name.substr(12);
  if (name == "slower_pods")
    return "waiting for slower pods";
  std::replace(name.begin(), name.end(), '_', ' ');
  return name == "hbm" ? "HBM" : name;
}

std::string shown(const Figure& figure, double value)
{
  const auto& [unit, base_units] = figure.units.front();
  const double number            = value / base_units;
  switch (figure.form) {
  case Form::count:
    return fmt::format("{:.0f}", number);
  case Form::tenths:
    return fmt::format("{:.1f}", number);
  case Form::percent:
    return fmt::format("{:.1f} %", 100 * value);
  case Form::time:
    return value < 1 ? format(Seconds(value)) : fmt::format("{:.2f} s", value);
  case Form::rate:
    return number < 1e4 ? fmt::format("{:.4g}", number) : fmt::format("{:.1f} k", number / 1e3);
  case Form::size:
    return format(Bytes(value));
  case Form::bandwidth:
    return format(BytesPerSecond(value));
  case Form::energy:
    return value < 1 ? fmt::format("{:.3g} mJ", value * 1e3) : fmt::format("{:.3g} J", value);
  case Form::thousands:
  case Form::money:
    return thousands(value);
  case Form::with_unit:
    break;
  }
  return fmt::format("{:.3g} {}", number, unit);
}

Page memory_text(const Memory& memory, Bytes capacity)
{
  std::vector<std::string> terms;
  for (const MemoryRow& row : memory_rows(memory))
    if (row.size > Bytes(0))
      terms.push_back(fmt::format("{} {} {}", terms.empty() ? "=" : "+", format(row.size), row.label));
  return wrapped("  memory    ", lay("{} of {} a chip", format(memory.total()), format(capacity)), terms);
}

Page to_text(const Evaluation& result, const Style& style)
{
  Page text = style.bold(lay("{}", result.scenario)) + "\n";
  if (!result.machine.empty()) // of a mesh that does not fit the slice nothing more is known
    text += lay("  model     {}\n  machine   {}\n  mesh      {}\n", result.model, result.machine, result.mesh);
  if (result.metrics) {
    const Breakdown parts = largest_first(result.metrics->breakdowns[result.metrics->critical]);
    text += "\n" + figures(result, style) + "\n" + sum_text(parts, result.metrics->step_time, style);
    text += bounds(parts, result.metrics->step_time);
    if (result.metrics->bisection)
      text +=
          lay("  bisection {:.0f} % of its bandwidth used while all-to-alls run\n", 100 * *result.metrics->bisection);
    if (result.faults)
      text += fault_text(*result.faults, *result.metrics, result.device, style);
  }
  if (result.memory)
    text += memory_text(*result.memory, result.capacity);
  text += remark_lines(result);
  if (result.metrics && result.error_bar)
    text += validated(*result.error_bar);
  if (result.metrics)
    text += simulated(result.simulation, result.device);
  return text;
}

} // namespace podsim
