#include "reports/validation.hpp"

#include "reports/csv.hpp"
#include "reports/remarks.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

using Ordered = nlohmann::ordered_json;

double in_unit(const PublishedFigure& figure, double value)
{
  return value / figure.base_units;
}

// Four digits, without an exponent where people would not write one.
std::string number(double value)
{
  return std::abs(value) >= 1e4 && std::abs(value) < 1e9 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

std::string percent(double value, bool signed_value)
{
  return signed_value ? fmt::format("{:+.1f} %", 100 * value) : fmt::format("{:.1f} %", 100 * value);
}

// "MFU, palm, %", "step time, s", "tokens/s ratio, x".
std::string compared(const PublishedFigure& figure)
{
  const std::string& label = figure.metric->label;
  std::string text         = label + (figure.relative_to.empty() ? "" : " ratio");
  if (figure.counting != Counting::none)
    text += ", " + figure.convention;
  if (!label.starts_with(figure.unit) || !figure.relative_to.empty())
    text += ", " + figure.unit;
  return text;
}

struct Widths {
  std::size_t id = 4, compared = 8;
};

Page row(const ValidatedFigure& figure, const Widths& widths, const Style& style)
{
  const PublishedFigure& of = figure.figure;
  const Page line =
      lay("  {:<{}}  {:<{}}{:>11}{:>11}{:>11}  {}{}", of.id, widths.id, compared(of), widths.compared,
          number(in_unit(of, of.value)), figure.predicted ? number(in_unit(of, *figure.predicted)) : std::string("-"),
          figure.predicted ? percent(figure.error(), true) : "-",
          figure.status != Status::ok ? word(figure.status)
          : of.calibration            ? "calibration"
                                      : "",
          figure.remarks.empty() ? ""
          : of.calibration       ? " !"
                                 : "!")
          .trimmed();
  return (figure.status != Status::ok ? style.bold(line) : of.calibration ? style.dim(line) : line) + "\n";
}

std::string summary(const ErrorBar& bar)
{
  return bar.count == 0
             ? fmt::format("{:>7}{:>10}{:>10}", 0, "-", "-")
             : fmt::format("{:>7}{:>10}{:>10}", bar.count, percent(bar.mean, false), percent(bar.largest, false));
}

Ordered to_json(const ErrorBar& bar)
{
  Ordered json{{"count", bar.count}};
  if (bar.count > 0) {
    json["mean_abs_error"] = bar.mean;
    json["max_abs_error"]  = bar.largest;
  }
  return json;
}

Ordered to_json(const ValidatedFigure& figure)
{
  const PublishedFigure& of = figure.figure;
  Ordered json{{"id", of.id},         {"family", of.family},       {"scenario", figure.scenario},
               {"run", figure.run()}, {"metric", of.metric->name}, {"convention", of.convention},
               {"unit", of.unit},     {"statistic", of.statistic}};
  if (!of.relative_to.empty())
    json["relative_to"] = of.relative_to;
  json["published"] = in_unit(of, of.value);
  if (figure.predicted) {
    json["predicted"]      = in_unit(of, *figure.predicted);
    json["relative_error"] = figure.error();
  }
  json["calibration"] = of.calibration;
  json["status"]      = word(figure.status);
  if (!figure.reason.empty())
    json["reason"] = figure.reason;
  if (!figure.remarks.empty())
    json["remarks"] = figure.remarks;
  json["source"] = of.source;
  return json;
}

} // namespace

Page to_text(const Validation& validation, const Style& style)
{
  Widths widths;
  std::size_t family_width = 18;
  for (const ValidatedFigure& figure : validation.figures) {
    widths.id       = std::max(widths.id, figure.figure.id.size());
    widths.compared = std::max(widths.compared, compared(figure.figure).size());
  }
  Page text;
  if (!validation.figures.empty())
    text += style.dim(lay("  {:<{}}  {:<{}}{:>11}{:>11}{:>11}", "case", widths.id, "compared", widths.compared,
                          "published", "predicted", "error")) +
            "\n";
  std::string family;
  for (const ValidatedFigure& figure : validation.figures) {
    if (figure.figure.family != family)
      text += style.bold(lay("{}", figure.figure.family)) + "\n";
    family       = figure.figure.family;
    family_width = std::max(family_width, family.size() + 2);
    text += row(figure, widths, style);
  }
  std::vector<std::string> remarked;
  for (const ValidatedFigure& figure : validation.figures)
    remarked.insert(remarked.end(), figure.remarks.begin(), figure.remarks.end());
  text += remarks_text(remarked);
  if (!validation.families.empty()) {
    text += "\n" +
            style.dim(lay("  {:<{}}{:>7}{:>10}{:>10}    {:>7}{:>10}{:>10}", "absolute errors", family_width, "cases",
                          "mean", "largest", "fitted", "mean", "largest")) +
            "\n";
    for (const FamilyErrors& errors : validation.families)
      text += lay("  {:<{}}{}    {}\n", errors.tests.family, family_width, summary(errors.tests),
                  summary(errors.calibration));
    text +=
        style.dim("  (figures of one run are one case; fitted: cases of the calibration, in no mean of the tests)") +
        "\n";
  }
  if (!validation.failures.empty()) {
    text += "\n" + style.bold("  could not run") + "\n";
    for (const ScenarioFailure& failure : validation.failures)
      text += lay("  {} ({}): {}\n", failure.scenario, word(failure.status), failure.reason);
  }
  return text;
}

std::string to_json(const Validation& validation)
{
  Ordered json{{"schema_version", validation_schema_version}, {"podsim_version", PODSIM_VERSION}};
  json["cases"] = Ordered::array();
  for (const ValidatedFigure& figure : validation.figures)
    json["cases"].push_back(to_json(figure));
  json["families"] = Ordered::array();
  for (const FamilyErrors& errors : validation.families) {
    Ordered row{{"family", errors.tests.family}};
    row.update(to_json(errors.tests));
    row["calibration"] = to_json(errors.calibration);
    json["families"].push_back(std::move(row));
  }
  json["failures"] = Ordered::array();
  for (const ScenarioFailure& failure : validation.failures)
    json["failures"].push_back(
        {{"scenario", failure.scenario}, {"status", word(failure.status)}, {"reason", failure.reason}});
  return json.dump(2, ' ', false, Ordered::error_handler_t::replace) + "\n";
}

std::string to_csv(const Validation& validation)
{
  std::string text =
      csv_line({"id", "family", "scenario", "run", "metric", "convention", "unit", "statistic", "relative_to",
                "published", "predicted", "relative_error", "calibration", "status", "reason", "source", "remarks"});
  for (const ValidatedFigure& figure : validation.figures) {
    const PublishedFigure& of = figure.figure;
    text +=
        csv_line({of.id, of.family, figure.scenario, figure.run(), of.metric->name, of.convention, of.unit,
                  of.statistic, of.relative_to, fmt::format("{}", in_unit(of, of.value)),
                  figure.predicted ? fmt::format("{}", in_unit(of, *figure.predicted)) : "",
                  figure.predicted ? fmt::format("{}", figure.error()) : "", of.calibration ? "true" : "false",
                  word(figure.status), figure.reason, of.source, fmt::format("{}", fmt::join(figure.remarks, "; "))});
  }
  // A scenario that could not be read has no figures, but a row that says so.
  for (const ScenarioFailure& failure : validation.failures)
    if (std::none_of(validation.figures.begin(), validation.figures.end(),
                     [&](const ValidatedFigure& figure) { return figure.scenario == failure.scenario; }))
      text += csv_line(
          {"", "", failure.scenario, "", "", "", "", "", "", "", "", "", "", word(failure.status), failure.reason, ""});
  return text;
}

} // namespace podsim
