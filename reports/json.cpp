#include "reports/json.hpp"

#include "reports/remarks.hpp"
#include "sim/engine/clock/simgrid_module.hpp"
#include "sim/evaluate/figures.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

using Ordered = nlohmann::ordered_json;

// JSON has no infinity and no NaN: such a number is left out.
void put(Ordered& object, const std::string& key, double value)
{
  if (std::isfinite(value))
    object[key] = value;
}

Ordered to_json(const Breakdown& breakdown)
{
  Ordered json = Ordered::object();
  for (const auto& [name, time] : breakdown)
    put(json, name, time.value());
  return json;
}

Ordered to_json(const Memory& memory, Bytes capacity)
{
  Ordered json = Ordered::object();
  for (const MemoryRow& row : memory_rows(memory))
    put(json, row.key, row.size.value());
  put(json, "total", memory.total().value());
  put(json, "capacity", capacity.value());
  return json;
}

// A ratio has no prediction here: this run is one of the two that it compares.
Ordered to_json(const PublishedFigure& figure, const Evaluation& result)
{
  Ordered json{{"id", figure.id}, {"metric", figure.metric->name}};
  put(json, "value", figure.value / figure.base_units);
  json["unit"]       = figure.unit;
  json["convention"] = figure.convention;
  json["statistic"]  = figure.statistic;
  if (!figure.relative_to.empty())
    json["relative_to"] = figure.relative_to;
  else if (const auto own = predicted(figure, result)) {
    put(json, "predicted", *own / figure.base_units);
    put(json, "relative_error", *own / figure.value - 1);
  }
  json["calibration"] = figure.calibration;
  json["family"]      = figure.family;
  json["source"]      = figure.source;
  return json;
}

Ordered to_json(const ErrorBar& bar)
{
  Ordered json{{"family", bar.family}, {"count", bar.count}};
  if (bar.count > 0) {
    put(json, "mean_abs_error", bar.mean);
    put(json, "max_abs_error", bar.largest);
  }
  return json;
}

// What the figures hold for: constants of other chips, dropped choices of experts, and what people are told of it.
void put_remarks(Ordered& json, const Evaluation& result)
{
  if (result.experts) {
    json["experts"] = {{"count", result.experts->count}, {"top_k", result.experts->top_k}};
    put(json["experts"], "dropped_choices", result.experts->dropped);
  }
  json["constants_of_other_chips"] = Ordered::array();
  for (const ForeignConstant& one : result.foreign)
    json["constants_of_other_chips"].push_back({{"path", one.path}, {"chip", one.chip}});
  json["remarks"] = remarks(result);
}

Ordered class_rows(const Metrics& metrics, const SimulationInfo& simulation)
{
  Ordered rows = Ordered::array();
  for (std::size_t c = 0; c < metrics.breakdowns.size(); ++c)
    rows.push_back({{"class", c},
                    {"representative", simulation.class_list[c].representative},
                    {"devices", simulation.class_list[c].devices},
                    {"critical", c == metrics.critical},
                    {"breakdown_s", to_json(metrics.breakdowns[c])}});
  return rows;
}

Ordered link_rows(const Metrics& metrics)
{
  Ordered rows = Ordered::object();
  for (const LinkUse& link : metrics.links) {
    put(rows[link.name], "busy_fraction", link.busy_fraction);
    put(rows[link.name], "bytes_per_device", link.sent.value());
  }
  return rows;
}

Ordered to_json(const SimulationInfo& simulation)
{
  const auto& names = granularity_names();
  const auto asked =
      std::find_if(names.begin(), names.end(), [&](const auto& row) { return row.second == simulation.granularity; });
  Ordered json{{"chips", simulation.chips},
               {"devices", simulation.devices},
               {"classes", simulation.classes},
               {"activities", simulation.activities},
               {"granularity", asked->first},
               {"chunked", simulation.chunked},
               {"folded", simulation.folded},
               {"repeated_layers", simulation.repeated_layers},
               {"repeated_micro_batches", simulation.repeated_micro_batches}};
  if (simulation.engine != "simgrid") // which is what is not said
    json["engine"] = simulation.engine;
  if (simulation.fold_stopped)
    json["fold_stopped"] = true;
  if (simulation.by_recurrence)
    json["by_recurrence"] = true;
  if (simulation.wall)
    put(json, "wall_s", simulation.wall->value());
  return json;
}

Ordered to_json(const FaultReport& faults)
{
  Ordered json;
  put(json, "healthy_step_time_s", faults.healthy_step.value());
  put(json, "healthy_mfu", faults.healthy_mfu);
  json["each"] = Ordered::array();
  for (const FaultCost& one : faults.each) {
    Ordered row{{"name", one.name}};
    put(row, "step_time_s", one.step_time.value());
    put(row, "mfu", one.mfu);
    json["each"].push_back(std::move(row));
  }
  if (!faults.bound.empty()) {
    json["bound"] = faults.bound;
    put(json, "at_least_s", faults.at_least.value());
  }
  json["waits_least"] = {{"devices", faults.slowest.devices}, {"one", faults.slowest.one}};
  return json;
}

Ordered provenance(const Evaluation& result)
{
  Ordered constants = Ordered::array();
  for (const UsedConstant& constant : result.constants) {
    Ordered row{{"path", constant.path}, {"value", constant.value}, {"source", constant.source}};
    if (!constant.calibrated_on.empty())
      row["calibrated_on"] = constant.calibrated_on;
    if (!constant.chips.empty())
      row["chip"] = constant.chips;
    constants.push_back(std::move(row));
  }
  return {{"simgrid_version", simgrid_version()}, {"catalogue_files", result.files}, {"constants", constants}};
}

} // namespace

std::string to_json(const Evaluation& result)
{
  Ordered json{{"schema_version", result_schema_version},
               {"podsim_version", PODSIM_VERSION},
               {"scenario", {{"name", result.scenario}, {"hash", result.hash}}},
               {"status", word(result.status)}};
  if (!result.reason.empty())
    json["reason"] = result.reason;
  if (result.metrics) {
    for (const Figure* figure : figures_in(Listing::json))
      if (const auto value = json_value(*figure, result))
        json[figure->json_name] = *value;
    json["breakdown_s"] = to_json(result.metrics->breakdowns[result.metrics->critical]);
    json["classes"]     = class_rows(*result.metrics, result.simulation);
    json["links"]       = link_rows(*result.metrics);
    if (result.metrics->dcn_burst > BytesPerSecond(0))
      put(json["links"]["dcn"], "burst_bits_per_s", 8 * result.metrics->dcn_burst.value());
  }
  if (result.faults)
    json["faults"] = to_json(*result.faults);
  if (result.metrics && result.metrics->bisection)
    put(json, "bisection_utilisation", *result.metrics->bisection);
  if (result.memory)
    json["memory_per_chip_bytes"] = to_json(*result.memory, result.capacity);
  put_remarks(json, result);
  json["published"] = Ordered::array();
  for (const PublishedFigure& figure : result.published)
    json["published"].push_back(to_json(figure, result));
  if (result.error_bar)
    json["validation"] = to_json(*result.error_bar);
  if (result.metrics)
    json["simulation"] = to_json(result.simulation);
  json["provenance"] = provenance(result);
  return json.dump(2, ' ', false, Ordered::error_handler_t::replace) + "\n";
}

} // namespace podsim
