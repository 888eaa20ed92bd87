// Scenarios: `show` takes one through all of `podsim show`, `run` simulates small ones and writes the reports, `set`
// lays changes of the command line over some of the catalogue.

#include "reports/json.hpp"
#include "reports/text.hpp"
#include "scenarios/resolve.hpp"
#include "sim/app/overview.hpp"
#include "sim/evaluate/feasibility.hpp"
#include "tests/fuzz/json_mutator.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

namespace podsim::fuzz {
namespace {

namespace fs = std::filesystem;

fs::path input_file() // where the input is said to lie
{
  return source_folder() / "scenarios/training/fuzzed.json";
}

bool sound(double value)
{
  return std::isfinite(value) && value >= 0;
}

void check(const Overview& all)
{
  require(sound(all.model.parameters) && sound(all.flops.model()) && sound(all.flops.hardware()),
          "parameters and FLOPs are numbers");
  require(!all.description.memory || sound(all.description.memory->total().value()), "the memory is a number");
  require((all.description.status == Status::ok) == all.description.reason.empty(), "what cannot run has its reason");
  for (const BlockRow& block : all.blocks)
    for (const CollectiveRow& row : block.collectives)
      require(sound(row.full.value()) && sound(row.alone.value()), "sizes and times are numbers");
}

// As `podsim show` does it, except that large machines are not folded: that alone would take longer than all the rest.
void show(Document document)
{
  constexpr std::int64_t many_devices = 1'024;

  auto values             = resolved_values(document);
  const Prepared prepared = prepare(read_scenario(std::move(document)));
  const Scenario& s       = prepared.scenario;
  Overview all            = overview(prepared);
  if (s.machine.devices() <= many_devices)
    all.classes = fold(s.machine, s.placement, prepared.sharded.pipeline).classes;
  all.values = std::move(values);
  check(all);
  require(!to_text(all, Style(false)).empty(), "something is printed");
}

bool show_input(const std::string& input)
{
  if (names_foreign_file(parse_json(input, input_file().string()), input_file()))
    return false;
  show(resolve_text(input, input_file().string(), catalogue()));
  return true;
}

std::optional<std::string> mutated_scenario(const std::string& input, Random& random)
{
  return mutated_json(input, random, change_scenario);
}

// The options of `run` follow from the input, so that each finding says them.
SimulationOptions options_for(const std::string& input)
{
  std::uint32_t bits = 2'166'136'261; // FNV-1a
  for (const char c : input)
    bits = (bits ^ static_cast<unsigned char>(c)) * 16'777'619;
  SimulationOptions options;
  options.granularity      = granularity_names()[bits / 8 % granularity_names().size()].second;
  options.explicit_devices = bits % 4 == 1;
  options.skip_repetitions = bits % 4 != 2;
  return options;
}

void check(const Metrics& metrics)
{
  const double step = metrics.step_time.value();
  require(std::isfinite(step) && step > 0, "a step takes some time");
  require(sound(metrics.mfu) && sound(metrics.hfu) && sound(metrics.tokens_per_s) && sound(metrics.bubble),
          "rates are numbers");
  for (const Breakdown& breakdown : metrics.breakdowns) {
    double sum = 0;
    for (const auto& [name, time] : breakdown) {
      require(time.value() > -1e-9 * step, "no part of a step is negative");
      sum += time.value();
    }
    require(std::abs(sum - step) < 1e-6 * step, "the parts of a step are all of it");
  }
  for (const LinkUse& link : metrics.links)
    require(sound(link.sent.value()) && sound(link.busy_fraction), "what links carry is a number");
}

void simulate_and_report(const Prepared& prepared, const SimulationOptions& options)
{
  const Evaluation result = evaluate(prepared, {options});
  require((result.status == Status::ok) == result.reason.empty(), "what cannot run has its reason");
  require((result.status == Status::ok) == result.metrics.has_value(), "what runs is measured");
  if (result.metrics)
    check(*result.metrics);
  require(!to_text(result, Style(true)).empty(), "something is printed");
  require(Json::parse(to_json(result)).is_object(), "--json writes JSON");
}

Seconds estimate(const Prepared& prepared, const SimulationOptions& options)
{
  const Scenario& s       = prepared.scenario;
  const auto classes      = fold(s.machine, s.placement, prepared.sharded.pipeline).classes.size();
  const std::int64_t most = options.explicit_devices ? s.machine.devices() : static_cast<std::int64_t>(classes);
  return simulation_estimate(most, prepared.sharded, timed_program(prepared, options.granularity));
}

// Scenarios that are small, so that thousands can be tried.
bool run_input(const std::string& input)
{
  constexpr std::int64_t most_devices = 64, most_layers = 64, most_micro_batches = 64;
  constexpr Seconds longest{0.05};

  if (names_foreign_file(parse_json(input, input_file().string()), input_file()))
    return false;
  Scenario scenario = read_scenario(resolve_text(input, input_file().string(), catalogue()));
  if (scenario.machine.devices() > most_devices)
    return false;
  if (!scenario.micro_benchmark() && (scenario.training().model.layers > most_layers ||
                                      scenario.training().pipeline.micro_batches > most_micro_batches))
    return false;
  const Prepared prepared         = prepare(std::move(scenario));
  const SimulationOptions options = options_for(input);
  if (serial_time(prepared) < longest_step && estimate(prepared, options) > longest)
    return false;
  simulate_and_report(prepared, options);
  return true;
}

// The input of `set`: the name of a scenario, then a change a line.
std::vector<std::string> lines_of(const std::string& input)
{
  std::vector<std::string> lines;
  std::istringstream stream(input);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

std::string joined(const std::vector<std::string>& lines)
{
  std::string text;
  for (const std::string& line : lines)
    text += line + "\n";
  return text;
}

// Of each kind one that is quickly partitioned.
const std::vector<std::string>& changed_scenarios()
{
  static const std::vector<std::string> names{"training/palm-8b",           "training/a100/zero-bubble-1.5b-m24",
                                              "training/h100/mpt-13b-16",   "training/tpu-v4/glam-1.2t",
                                              "faults/palm-540b-straggler", "micro-benchmarks/v4-all-to-all-4x4x8",
                                              "training/h100/mpt-70b-32",   "training/a100/mtnlg530-2240",
                                              "faults/palm-540b-jitter",    "training/a100/titan2024-llama2-13b-selop"};
  return names;
}

bool set_input(const std::string& input)
{
  std::vector<std::string> lines = lines_of(input);
  if (lines.size() < 2 || lines.size() > 16 || input.find('\0') != std::string::npos)
    return false;
  const auto& names = changed_scenarios();
  if (std::find(names.begin(), names.end(), lines.front()) == names.end())
    return false;
  const std::string file = (source_folder() / "scenarios" / (lines.front() + ".json")).string();
  lines.erase(lines.begin());
  for (const std::string& line : lines) {
    const std::string path  = line.substr(0, line.find('='));
    const std::string value = line.substr(line.find('=') + 1);
    const Json json         = Json::accept(value) ? Json::parse(value) : Json(value);
    if (names_foreign_file(json, fs::current_path() / "a change") ||
        names_foreign_file(Json{{path.substr(path.rfind('.') + 1), json}}, file))
      return false;
  }
  show(resolve(file, lines, catalogue()));
  return true;
}

void collect_paths(const Json& json, const std::string& path, std::vector<std::pair<std::string, Json>>& paths)
{
  if (!path.empty())
    paths.emplace_back(path, json);
  if (json.is_object())
    for (const auto& [key, child] : json.items())
      if (key != "source" && key != "note" && key != "published")
        collect_paths(child, child_path(path, key), paths);
}

const std::vector<std::pair<std::string, Json>>& known_paths()
{
  static const auto all = [] {
    std::vector<std::pair<std::string, Json>> paths;
    for (const std::string& name : changed_scenarios()) {
      const auto file = source_folder() / "scenarios" / (name + ".json");
      collect_paths(parse_json_file(file.string()), "", paths);
      collect_paths(*resolve(file.string(), {}, catalogue()).json, "", paths);
    }
    return paths;
  }();
  return all;
}

std::string as_typed(const Json& value, Random& random)
{
  return value.is_string() && below(8, random) > 0 ? value.get<std::string>()
                                                   : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string changed_path(std::string path, Random& random)
{
  const std::size_t dot = path.rfind('.');
  switch (below(4, random)) {
  case 0:
    return dot == std::string::npos ? any_key(random) : path.substr(0, dot);
  case 1:
    return path + "." + any_key(random);
  case 2:
    return (dot == std::string::npos ? "" : path.substr(0, dot + 1)) + any_key(random);
  default:
    path.insert(below(path.size() + 1, random), 1, ".=[]\"a0"[below(7, random)]);
    return path;
  }
}

void change_line(std::string& line, Random& random)
{
  const std::size_t equals = std::min(line.find('='), line.size());
  const std::string path   = line.substr(0, equals);
  const std::string text   = line.substr(std::min(equals + 1, line.size()));
  const Json value         = Json::accept(text) ? Json::parse(text) : Json(text);
  const std::string key    = path.substr(path.rfind('.') + 1);
  if (below(3, random) == 0)
    line = changed_path(path, random) + "=" + text;
  else
    line = path + "=" + as_typed(other_value(value, key, random), random);
}

std::optional<std::string> mutated_set(const std::string& input, Random& random)
{
  std::vector<std::string> lines = lines_of(input);
  if (lines.empty())
    lines.push_back(any_of(changed_scenarios(), random));
  for (bool more = true; more; more = below(3, random) == 0) {
    const std::size_t kind = below(16, random);
    if (kind == 0) {
      lines.front() = any_of(changed_scenarios(), random);
    } else if (lines.size() == 1 || kind < 6) {
      const auto& [path, value] = any_of(known_paths(), random);
      lines.insert(lines.begin() + 1 + static_cast<std::ptrdiff_t>(below(lines.size(), random)),
                   path + "=" + as_typed(value, random));
      if (below(2, random) == 0)
        change_line(lines.back(), random);
    } else if (kind < 8) {
      lines.erase(lines.begin() + 1 + static_cast<std::ptrdiff_t>(below(lines.size() - 1, random)));
    } else {
      change_line(lines[1 + below(lines.size() - 1, random)], random);
    }
  }
  return joined(lines);
}

std::optional<std::string> crossed_sets(const std::string& input, const std::string& donor, Random& random)
{
  std::vector<std::string> lines       = lines_of(input);
  const std::vector<std::string> other = lines_of(donor);
  if (lines.empty() || other.size() < 2)
    return {};
  lines.insert(lines.end(), other.begin() + 1 + static_cast<std::ptrdiff_t>(below(other.size() - 1, random)),
               other.end());
  return joined(lines);
}

} // namespace

const Target show_target{"show", show_input, mutated_scenario, crossed_json};
const Target run_target{"run", run_input, mutated_scenario, crossed_json};
const Target set_target{"set", set_input, mutated_set, crossed_sets};

} // namespace podsim::fuzz
