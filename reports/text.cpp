#include "reports/text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

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
    return fmt::format("{:.2f} s", value);
  case Metric::tokens_per_s:
    return fmt::format("{:.1f} k", value / 1e3);
  case Metric::dcn_burst:
    return fmt::format("{:.1f} Tb/s", value * 8 / 1e12);
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

std::string figures(const Result& result, const Style& style)
{
  const Metrics& metrics = *result.metrics;
  std::string text       = style.dim(fmt::format("  {:<22}{:>12}{:>12}   {}\n", "", "predicted", "published", "difference"));
  for (const Row row : {Row{"step time", Metric::step_time}, Row{"tokens/s", Metric::tokens_per_s}, Row{"MFU", Metric::mfu},
                        Row{"MFU without attention", Metric::mfu_without_attention}, Row{"HFU", Metric::hfu},
                        Row{"cross-pod burst", Metric::dcn_burst}}) {
    const double own = predicted(row.metric, metrics);
    if (own == 0)
      continue;
    const PublishedFigure* figure = find(result, row.metric);
    double published              = figure ? figure->value : 0;
    std::string remark            = figure && figure->calibration ? "  (calibrated on it)" : "";
    if (const PublishedFigure* rate = find(result, Metric::tokens_per_s); row.metric == Metric::step_time && !figure && rate) {
      published = metrics.tokens_per_step / rate->value;
      figure    = rate;
      remark    = "  (from tokens/s)";
    }
    if (!figure && row.metric == Metric::mfu_without_attention)
      continue;
    text += style.bold(fmt::format("  {:<22}{:>12}", row.label, shown(row.metric, own)));
    text += figure ? fmt::format("{:>12}   {}{}\n", shown(row.metric, published), difference(row.metric, own, published), remark)
                   : fmt::format("{:>12}\n", "-");
  }
  return text;
}

std::string words(std::string name)
{
  if (name.starts_with("exposed_ici_"))
    return "exposed ICI, " + name.substr(12);
  if (name.starts_with("exposed_dcn_"))
    return "exposed DCN, " + name.substr(12);
  std::replace(name.begin(), name.end(), '_', ' ');
  return name == "hbm" ? "HBM" : name;
}

std::string breakdown(const Breakdown& parts, Seconds step, const Style& style)
{
  std::string text = style.bold("  where the step went") + "\n";
  for (const auto& [name, time] : parts)
    if (time > Seconds(0)) {
      const auto bar = static_cast<std::size_t>(40 * (time / step) + 0.5);
      text += fmt::format("  {:>9.3f} s {:>5.1f} %  {:<24}{}\n", time.value(), 100 * (time / step), words(name),
                          style.dim(std::string(bar, '#')));
    }
  return text + fmt::format("  {:>9.3f} s         together\n", step.value());
}

std::string bounds(const Breakdown& parts, Seconds step)
{
  Breakdown sorted = parts;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text = fmt::format("  bound by  {} ({:.0f} % of the step)", words(sorted[0].first), 100 * (sorted[0].second / step));
  if (sorted.size() > 1 && sorted[1].second > Seconds(0))
    text += fmt::format("; next, {} ({:.0f} %)", words(sorted[1].first), 100 * (sorted[1].second / step));
  return text + "\n";
}

std::string simulated(const SimulationInfo& info)
{
  std::string text = fmt::format("  simulated {} chips {} {} class{}, {} events, collectives {}", info.devices,
                                 info.folded ? "as" : "one by one;", info.classes, info.classes == 1 ? "" : "es",
                                 info.activities, info.chunked ? "chunk by chunk where they may meet" : "as one event each");
  if (info.granularity == Granularity::chunk)
    text = text.substr(0, text.rfind(" where"));
  if (info.wall)
    text += fmt::format(", in {}", format(*info.wall));
  return text + "\n";
}

} // namespace

std::string memory_text(const Memory& memory, Bytes capacity)
{
  std::string parts;
  for (const MemoryRow& row : memory_rows(memory))
    if (row.size > Bytes(0))
      parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", row.label, format(row.size));
  return fmt::format("  memory    {} of {} a chip: {}\n", format(memory.total()), format(capacity), parts);
}

std::string to_text(const Result& result, const Style& style)
{
  std::string text = style.bold(result.scenario) + "\n";
  text += fmt::format("  model     {}\n  machine   {}\n  mesh      {}\n", result.model, result.machine, result.mesh);
  if (result.metrics) {
    const Breakdown& critical = result.metrics->breakdowns[result.metrics->critical];
    text += "\n" + figures(result, style) + "\n" + breakdown(critical, result.metrics->step_time, style) + "\n";
    text += bounds(critical, result.metrics->step_time);
  }
  if (result.memory)
    text += memory_text(*result.memory, result.capacity);
  if (result.metrics)
    text += simulated(result.simulation);
  return text;
}

} // namespace podsim
