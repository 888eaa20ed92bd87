#include "reports/text.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace podsim {
namespace {

const PublishedFigure* find(const Result& result, Metric metric)
{
  const auto found = std::find_if(result.published.begin(), result.published.end(),
                                  [&](const PublishedFigure& figure) { return figure.metric == metric; });
  return found == result.published.end() ? nullptr : &*found;
}

std::string shown(Metric metric, double value)
{
  switch (metric) {
  case Metric::step_time:
    return value < 1 ? format(Seconds(value)) : fmt::format("{:.2f} s", value);
  case Metric::tokens_per_s:
    return value < 1e4 ? fmt::format("{:.4g}", value) : fmt::format("{:.1f} k", value / 1e3);
  case Metric::dcn_burst:
    return fmt::format("{:.3g} Tb/s", value * 8 / 1e12);
  default:
    return fmt::format("{:.1f} %", value * 100);
  }
}

// Utilisations differ in points, the rest in per cent of the published figure.
std::string difference(Metric metric, double own, double published)
{
  if (info(metric).unit == "%")
    return fmt::format("{:+.1f} points", 100 * (own - published));
  return fmt::format("{:+.1f} %", 100 * (own / published - 1));
}

struct Row {
  const char* label;
  Metric metric;
};

// One line a metric, and a further one for each further figure that was published of it.
std::string figures(const Result& result, const Style& style)
{
  const Metrics& metrics = *result.metrics;
  std::string text = style.dim(fmt::format("  {:<22}{:>12}{:>12}   {}\n", "", "predicted", "published", "difference"));
  for (const Row row : {Row{"step time", Metric::step_time}, Row{"tokens/s", Metric::tokens_per_s},
                        Row{"MFU", Metric::mfu}, Row{"MFU without attention", Metric::mfu_without_attention},
                        Row{"HFU", Metric::hfu}, Row{"cross-pod burst", Metric::dcn_burst}}) {
    const double own = predicted(row.metric, metrics);
    std::vector<std::string> beside;
    const auto compare = [&](double published, const std::string& remark) {
      beside.push_back(
          fmt::format("{:>12}   {}{}", shown(row.metric, published), difference(row.metric, own, published), remark));
    };
    for (const PublishedFigure& figure : result.published)
      if (figure.metric == row.metric)
        compare(figure.value, fmt::format("  ({}{})", figure.statistic, figure.calibration ? "; fitted: no test" : ""));
    if (const PublishedFigure* rate = find(result, Metric::tokens_per_s);
        row.metric == Metric::step_time && beside.empty() && rate)
      compare(metrics.tokens_per_step / rate->value, "  (from tokens/s)");
    const bool always = row.metric != Metric::mfu_without_attention && row.metric != Metric::dcn_burst;
    if (beside.empty() && always)
      beside.push_back(fmt::format("{:>12}", "-"));
    for (std::size_t i = 0; i < beside.size(); ++i)
      text += style.bold(fmt::format("  {:<22}{:>12}", i == 0 ? row.label : "", i == 0 ? shown(row.metric, own) : "")) +
              beside[i] + "\n";
  }
  return text;
}

std::string words(std::string name)
{
  if (name.starts_with("exposed_ici_"))
    return "exposed ICI " + name.substr(12);
  if (name.starts_with("exposed_dcn_"))
    return "exposed DCN " + name.substr(12);
  std::replace(name.begin(), name.end(), '_', ' ');
  return name == "hbm" ? "HBM" : name;
}

// A label, its value, and what it consists of, in lines that fit a terminal.
std::string wrapped(const std::string& label, const std::string& value, const std::vector<std::string>& terms)
{
  constexpr std::size_t columns = 110;
  std::string text              = label + value;
  std::size_t used              = text.size();
  for (const std::string& term : terms) {
    if (used + 1 + term.size() > columns) {
      text += "\n" + std::string(label.size(), ' ') + term;
      used = label.size() + term.size();
    } else {
      text += " " + term;
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
std::string sum_text(const Breakdown& parts, Seconds step, const Style& style)
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
      terms.push_back(fmt::format("{}{:.3f} {} ({:.1f} %)", i == 0 ? "= " : "+ ", shown, words(parts[i].first),
                                  100 * (parts[i].second / step)));
  }
  return wrapped("  step      ", style.bold(fmt::format("{:.3f} {}", step.value() / unit, name)), terms);
}

std::string bounds(const Breakdown& parts, Seconds step)
{
  std::string text =
      fmt::format("  bound by  {}, {:.0f} % of the step", words(parts[0].first), 100 * (parts[0].second / step));
  if (parts.size() > 1)
    text += fmt::format("; the next bound is {}, {:.0f} %", words(parts[1].first), 100 * (parts[1].second / step));
  return text + "\n";
}

std::string simulated(const SimulationInfo& info)
{
  const std::string chips =
      info.folded ? fmt::format("as {} class{}", info.classes, info.classes == 1 ? "" : "es") : "one by one";
  const char* how = !info.chunked                            ? "as one event each"
                    : info.granularity == Granularity::chunk ? "chunk by chunk"
                                                             : "chunk by chunk where they may meet";
  std::string text =
      fmt::format("  simulated {} chips {}, {} events, collectives {}", info.devices, chips, info.activities, how);
  if (info.wall)
    text += fmt::format(", in {}", format(*info.wall));
  return text + "\n";
}

} // namespace

std::string memory_text(const Memory& memory, Bytes capacity)
{
  std::vector<std::string> terms;
  for (const MemoryRow& row : memory_rows(memory))
    if (row.size > Bytes(0))
      terms.push_back(fmt::format("{} {} {}", terms.empty() ? "=" : "+", format(row.size), row.label));
  return wrapped("  memory    ", fmt::format("{} of {} a chip", format(memory.total()), format(capacity)), terms);
}

std::string to_text(const Result& result, const Style& style)
{
  std::string text = style.bold(result.scenario) + "\n";
  text += fmt::format("  model     {}\n  machine   {}\n  mesh      {}\n", result.model, result.machine, result.mesh);
  if (result.metrics) {
    const Breakdown parts = largest_first(result.metrics->breakdowns[result.metrics->critical]);
    text += "\n" + figures(result, style) + "\n" + sum_text(parts, result.metrics->step_time, style);
    text += bounds(parts, result.metrics->step_time);
  }
  if (result.memory)
    text += memory_text(*result.memory, result.capacity);
  if (result.metrics)
    text += simulated(result.simulation);
  return text;
}

} // namespace podsim
