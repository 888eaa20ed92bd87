#include "sim/studies/sweep.hpp"

#include "scenarios/resolve.hpp"
#include "sim/core/input.hpp"
#include "sim/studies/constraint.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

namespace podsim {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_values       = 10'000;    // of an axis
constexpr std::size_t most_combinations = 1'000'000; // of a study

std::string dump(const Json& json)
{
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// A text as it is, anything else as JSON has it.
std::string label_of(const Json& value)
{
  return value.is_string() ? value.get<std::string>() : dump(value);
}

std::string last_key(const std::string& path)
{
  return path.substr(path.rfind('.') + 1); // of npos + 1, 0
}

std::string name_in(const Reader& scenario)
{
  std::string name = scenario.text();
  if (name.empty())
    scenario.fail("expected the name or the path of a scenario, found an empty name");
  return name;
}

void check_path(const Reader& at, const std::string& path)
{
  if (path.empty() || path.front() == '.' || path.back() == '.' || path.find("..") != std::string::npos ||
      path.find('=') != std::string::npos)
    at.fail(fmt::format("expected the path of a value, like workload.batch, found \"{}\"", printable(path)));
}

// {"from": 10, "to": 200, "step": 10, "unit": "GB/s"}, both ends included; or "factor" in place of "step".
std::vector<Json> read_range(Reader range)
{
  const double from = range.at("from").number();
  const Reader end  = range.at("to");
  const double to   = end.number();
  const auto step   = range.find("step");
  const auto factor = range.find("factor");
  const auto unit   = range.find("unit");
  const auto suffix = unit ? " " + unit->text() : std::string();
  range.finish();
  if (step.has_value() == factor.has_value())
    range.fail("expected either \"step\" or \"factor\"");
  if (!(to >= from))
    end.fail("is below \"from\"");
  if (step && !(step->number() > 0))
    step->expected("a number above 0");
  if (factor && !(from > 0 && factor->number() > 1))
    factor->expected("a number above 1, from a number above 0");
  std::vector<Json> values;
  constexpr double slack = 1e-9; // steps like 0.1 do not add up exactly
  for (std::size_t i = 0;; ++i) {
    const auto steps   = static_cast<double>(i);
    const double value = step ? from + steps * step->number() : from * std::pow(factor->number(), steps);
    if (value > to + slack * std::abs(to))
      return values;
    if (values.size() == most_values)
      range.fail(fmt::format("has more than {} values", most_values));
    const double whole = std::round(value);
    const bool integer = std::abs(value - whole) <= slack * std::abs(value) && std::abs(whole) < 1e15;
    if (unit)
      values.emplace_back(fmt::format("{:.12g}{}", value, suffix));
    else if (integer)
      values.emplace_back(static_cast<std::int64_t>(whole));
    else
      values.emplace_back(std::stod(fmt::format("{:.12g}", value)));
  }
}

// Labels written beside the values; otherwise those stay that the values have themselves.
void read_labels(Reader& axis, std::vector<AxisValue>& values)
{
  const auto labels = axis.find("labels");
  if (!labels)
    return;
  const std::vector<Reader> texts = labels->elements();
  if (texts.size() != values.size())
    labels->fail(fmt::format("expected {} labels, one a value, found {}", values.size(), texts.size()));
  for (std::size_t i = 0; i < texts.size(); ++i)
    values[i].label = texts[i].text();
}

// {"path": "workload.batch", "values": [512, 1024]} or with a "range"; of several paths each gets the same value.
void read_values(Reader& axis, const Json& json, SweepAxis& read)
{
  const Reader path                    = axis.at("path");
  const std::vector<std::string> paths = path.texts();
  if (paths.empty())
    path.fail("names no path");
  for (const std::string& one : paths)
    check_path(path, one);
  const auto listed = axis.find("values");
  const auto range  = axis.find("range");
  if (listed.has_value() == range.has_value())
    axis.fail("expected either \"values\" or \"range\"");
  std::vector<Json> values;
  if (range)
    values = read_range(*range);
  else
    for (std::size_t i = 0; i < listed->elements().size(); ++i)
      values.push_back(json.at("values")[i]);
  for (const Json& value : values) {
    AxisValue& one = read.values.emplace_back();
    one.label      = label_of(value);
    for (const std::string& each : paths)
      one.changes.push_back(each + "=" + dump(value));
  }
  read.name = last_key(paths.front());
}

// {"zip": {"machine.pods": [1, 2], "workload.batch": [1024, 2048]}}: lists that go on together.
void read_zip(Reader zip, const Json& json, SweepAxis& read)
{
  const std::vector<std::string> paths = zip.keys();
  if (paths.empty())
    zip.fail("names no path");
  for (const std::string& path : paths) {
    check_path(zip, path);
    const Reader list       = zip.at(path);
    const std::size_t count = list.elements().size();
    if (&path == &paths.front())
      read.values.resize(count);
    else if (count != read.values.size())
      list.fail(fmt::format("has {} values, \"{}\" has {}", count, paths.front(), read.values.size()));
    for (std::size_t i = 0; i < count; ++i) {
      const Json& value = json.at(path)[i];
      read.values[i].changes.push_back(path + "=" + dump(value));
      if (const std::string label = label_of(value); read.values[i].label.empty())
        read.values[i].label = label;
      else if (read.values[i].label != label)
        read.values[i].label += ", " + label;
    }
    read.name += (read.name.empty() ? "" : ", ") + last_key(path);
  }
}

// {"cases": [{"label": "A100", "scenario": "a100.json", "set": {"workload.batch": 496}, "plan": {...}}]}
void read_cases(const Reader& cases, const Json& json, SweepAxis& read)
{
  std::vector<Reader> elements = cases.elements();
  for (std::size_t i = 0; i < elements.size(); ++i) {
    Reader& one      = elements[i];
    AxisValue& value = read.values.emplace_back();
    value.label      = one.at("label").text();
    if (const auto scenario = one.find("scenario"))
      value.scenario = name_in(*scenario);
    if (auto set = one.find("set"))
      for (const std::string& path : set->keys()) {
        check_path(*set, path);
        value.changes.push_back(path + "=" + dump(json[i].at("set").at(path)));
      }
    if (const auto plan = one.find("plan"))
      value.plan = read_plan(*plan);
    one.finish();
  }
}

SweepAxis read_axis(Reader axis, const Json& json)
{
  SweepAxis read;
  const auto zip   = axis.find("zip");
  const auto cases = axis.find("cases");
  if (zip && cases)
    axis.fail("expected one of \"path\", \"zip\" and \"cases\"");
  if (cases)
    read_cases(*cases, json.at("cases"), read);
  else if (zip)
    read_zip(*zip, json.at("zip"), read);
  else
    read_values(axis, json, read);
  if (!cases)
    read_labels(axis, read.values);
  if (const auto name = axis.find("name"))
    read.name = name->text();
  axis.finish();
  if (read.name.empty())
    axis.fail("the key \"name\" is missing: what its cases are called together");
  const std::set<std::string> columns{"number", "status", "reason", "front"};
  if (columns.contains(read.name) || find_figure(Listing::study, read.name))
    axis.fail(fmt::format("\"{}\" is a column of the table; give the axis another \"name\"", printable(read.name)));
  if (read.values.empty() || read.values.size() > most_values)
    axis.fail(fmt::format("has {} values; expected 1 to {}", read.values.size(), most_values));
  return read;
}

// A path that an axis sets and a later one sets again, itself or all that it is in; or "".
std::string overridden(const SweepAxis& earlier, const SweepAxis& later)
{
  const auto paths = [](const SweepAxis& axis) {
    std::set<std::string> all;
    for (const AxisValue& value : axis.values)
      for (const std::string& change : value.changes)
        all.insert(change.substr(0, change.find('=')));
    return all;
  };
  const std::set<std::string> again = paths(later);
  for (const std::string& path : paths(earlier))
    for (const std::string& other : again)
      if (is_within(path, other))
        return path;
  return "";
}

// Every combination must have a scenario and what its figures ask for, and all money is of one currency.
void check_complete(const Sweep& sweep, Reader& top)
{
  bool scenario        = !sweep.scenario.empty();
  std::string currency = sweep.plan.currency;
  for (const SweepAxis& axis : sweep.axes) {
    const auto all = [&](const auto& has) { return std::all_of(axis.values.begin(), axis.values.end(), has); };
    scenario       = scenario || all([](const AxisValue& value) { return !value.scenario.empty(); });
    for (const AxisValue& value : axis.values) {
      if (value.plan.price && !currency.empty() && value.plan.currency != currency)
        top.at("axes").fail(
            fmt::format("prices in {} and in {}; give all in one currency", currency, value.plan.currency));
      if (value.plan.price)
        currency = value.plan.currency;
    }
  }
  if (!scenario)
    top.fail("the key \"scenario\" is missing, and no axis gives a scenario in each of its cases");
  for (const std::string& metric : sweep.metrics)
    if (const char* missing = missing_for(metric, sweep))
      top.at("metrics").fail(fmt::format("\"{}\" needs a \"plan\" with \"{}\"", metric, missing));
}

Sweep read_study(Json json, const std::string& file)
{
  if (json.is_object() && json.contains("compare"))
    throw InputError(fmt::format("{}: is a study for podsim compare: podsim compare {}", file, file));
  if (json.is_object() && !json.contains("axes") && json.contains("model"))
    throw InputError(fmt::format("{}: is a scenario, not a study: podsim run {}", file, file));
  Document document;
  *document.json = std::move(json);
  if (document.json->is_object())
    document.json->erase("$schema"); // for editors
  document.origins.set("", file);
  Reader top(document);
  top.at("schema_version").count(1, 1);
  Sweep sweep;
  sweep.name = top.at("name").text();
  if (const auto question = top.find("question"))
    sweep.question = question->text();
  if (const auto scenario = top.find("scenario"))
    sweep.scenario = name_in(*scenario);
  const Reader axes                  = top.at("axes");
  const std::vector<Reader> elements = axes.elements();
  if (elements.empty())
    axes.fail("has no axis");
  std::size_t combinations = 1;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    SweepAxis axis = read_axis(elements[i], document.json->at("axes")[i]);
    for (const SweepAxis& other : sweep.axes)
      if (other.name == axis.name)
        elements[i].fail(fmt::format("two axes are called \"{}\"; give one another \"name\"", printable(axis.name)));
    for (const SweepAxis& other : sweep.axes)
      if (const std::string path = overridden(other, axis); !path.empty())
        elements[i].fail(fmt::format("sets {} again, which the axis \"{}\" has set; only the last would count",
                                     printable(path), printable(other.name)));
    combinations *= axis.values.size();
    if (combinations > most_combinations)
      axes.fail(fmt::format("has more than {} combinations", most_combinations));
    sweep.axes.push_back(std::move(axis));
  }
  if (const auto constraints = top.find("constraints"))
    for (const Reader& one : constraints->elements()) {
      sweep.constraints.push_back(one.text());
      if (constexpr std::size_t longest = 1000; sweep.constraints.back().size() > longest)
        one.fail(fmt::format("is longer than {} letters", longest));
    }
  if (const auto plan = top.find("plan"))
    sweep.plan = read_plan(*plan);
  std::vector<std::pair<std::string, std::string>> names;
  for (const std::string& name : figure_names(Listing::study))
    names.emplace_back(name, name);
  for (const Reader& metric : top.at("metrics").elements())
    sweep.metrics.push_back(metric.choice(names));
  if (sweep.metrics.empty())
    top.at("metrics").fail("names no metric");
  top.finish();
  check_complete(sweep, top);
  sweep.text = dump(*document.json);
  return sweep;
}

// A constraint's name: an axis by its label, else a value of the scenario; of a constant its value, of what has a name
// that.
std::optional<Term> term_of(const std::string& name, const Sweep& sweep, const Combination& combination,
                            const Json& scenario)
{
  for (std::size_t i = 0; i < sweep.axes.size(); ++i)
    if (sweep.axes[i].name == name)
      return as_term(combination.labels[i]);
  const Json* at = &scenario;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string key = name.substr(begin, end - begin);
    if (!at->is_object() || !at->contains(key))
      return {};
    at    = &(*at)[key];
    begin = end + 1;
  }
  for (const char* itself : {"value", "name"}) // of a constant; of a model, a remat, ...
    if (at->is_object() && at->contains(itself))
      at = &(*at)[itself];
  if (at->is_number())
    return at->get<double>();
  if (at->is_boolean())
    return at->get<bool>();
  return at->is_string() ? std::optional<Term>(at->get<std::string>()) : std::nullopt;
}

} // namespace

std::size_t Sweep::size() const
{
  std::size_t product = 1;
  for (const SweepAxis& axis : axes)
    product *= axis.values.size();
  return product;
}

const char* missing_for(const std::string& metric, const Sweep& sweep)
{
  const auto given = [&](const auto& has) {
    return has(sweep.plan) || std::any_of(sweep.axes.begin(), sweep.axes.end(), [&](const SweepAxis& axis) {
             return std::all_of(axis.values.begin(), axis.values.end(),
                                [&](const AxisValue& value) { return has(value.plan); });
           });
  };
  if (figure(metric).of_a_plan && !given([](const TrainingPlan& plan) { return plan.tokens.has_value(); }))
    return "tokens";
  if (metric == "cost" && !given([](const TrainingPlan& plan) { return plan.price.has_value(); }))
    return "price_per_chip_hour";
  return nullptr;
}

Sweep read_sweep(const std::string& file)
{
  return read_study(parse_json_file(file), file);
}

Sweep read_sweep_text(const std::string& text, const std::string& origin)
{
  return read_study(parse_json(text, origin), origin);
}

Combination combination(const Sweep& sweep, std::size_t number)
{
  std::vector<const AxisValue*> values(sweep.axes.size());
  for (std::size_t i = values.size(); i-- > 0;) {
    const std::vector<AxisValue>& all = sweep.axes[i].values;
    values[i]                         = &all[number % all.size()];
    number /= all.size();
  }
  Combination made{sweep.scenario, {}, {}, sweep.plan};
  for (const AxisValue* value : values) {
    made.labels.push_back(value->label);
    made.changes.insert(made.changes.end(), value->changes.begin(), value->changes.end());
    if (!value->scenario.empty())
      made.scenario = value->scenario;
    made.plan = lay_over(made.plan, value->plan);
  }
  return made;
}

const std::string& SweepScenarios::file_of(const Combination& combination)
{
  const auto known = files_.find(combination.scenario);
  return known != files_.end()
             ? known->second
             : files_.emplace(combination.scenario, catalogue_.find(Shelf::scenarios, combination.scenario, study_))
                   .first->second;
}

const Document& SweepScenarios::resolve(const Combination& combination)
{
  try {
    const Document& document = variants_.resolve(file_of(combination), combination.changes);
    document.tell_mistakes();
    return document;
  } catch (const InputError& wrong) {
    throw InputError(fmt::format("{}: {}", study_, wrong.what()));
  }
}

Scenario SweepScenarios::read(const Combination& combination)
{
  resolve(combination);
  return variants_.read();
}

int unmet_constraint(const Sweep& sweep, const Combination& combination, const Document& document,
                     const std::string& study)
{
  const Lookup lookup = [&](const std::string& name) { return term_of(name, sweep, combination, *document.json); };
  for (std::size_t i = 0; i < sweep.constraints.size(); ++i)
    try {
      if (!holds(sweep.constraints[i], lookup))
        return static_cast<int>(i);
    } catch (const std::invalid_argument& wrong) {
      throw InputError(fmt::format("{}: constraints[{}]: {}", study, i, wrong.what()));
    }
  return -1;
}

} // namespace podsim
