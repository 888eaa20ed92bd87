#include "tests/fuzz/json_mutator.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

namespace podsim::fuzz {
namespace {

namespace fs = std::filesystem;

// A value in the tree, with the key that it or the list around it stands under.
struct Node {
  Json* json;
  std::string key;
};

void collect(Json& json, const std::string& key, std::vector<Node>& nodes)
{
  nodes.push_back({&json, key});
  if (json.is_object())
    for (const auto& [name, child] : json.items())
      collect(child, name, nodes);
  else if (json.is_array())
    for (Json& child : json)
      collect(child, key, nodes);
}

std::vector<Node> nodes_of(Json& json)
{
  std::vector<Node> nodes;
  collect(json, "", nodes);
  return nodes;
}

// A place where a scenario names a file of the catalogue, and all values of these files by their paths.
struct Slot {
  std::vector<std::string> path;
  std::vector<std::string> names;
  std::vector<std::pair<std::vector<std::string>, Json>> values;
};

// What is known of scenarios: the JSON files of the tree, and the corpus for what no scenario of the tree has.
struct Knowledge {
  std::vector<std::string> keys;
  std::map<std::string, std::vector<Json>> values; // by key
  std::vector<Slot> slots;
};

bool is_prose(const std::string& key)
{
  return key == "note" || key == "source" || key == "because";
}

void collect_paths(const Json& json, std::vector<std::string>& path, Slot& slot)
{
  if (!path.empty())
    slot.values.emplace_back(path, json);
  if (json.is_object())
    for (const auto& [key, child] : json.items()) {
      if (is_prose(key) || key == "schema_version")
        continue;
      path.push_back(key);
      collect_paths(child, path, slot);
      path.pop_back();
    }
}

Knowledge learn()
{
  Knowledge all;
  const fs::path root = PODSIM_SOURCE_DIR;
  for (const char* folder : {"models", "topologies", "scenarios", "tests/fuzz/corpus"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const bool is_result = entry.path().parent_path() == root / "scenarios"; // of validate, and the schema
      if (entry.is_directory() || is_result || entry.path().extension() == ".cpp" || entry.path().extension() == ".hpp")
        continue;
      Json json;
      try {
        json = parse_json_file(entry.path().string());
      } catch (const InputError&) { // the corpus has some of all kinds
        continue;
      }
      for (const Node& node : nodes_of(json))
        if (!node.key.empty() && !is_prose(node.key))
          all.values[node.key].push_back(*node.json);
    }
  // Optional values that no file of the tree has need a place in the mutator's mind too.
  all.values["twisted"].push_back(true);
  all.values["repeats_logits"].push_back(true);
  all.values["layers"].push_back({1, 2, 1, 2});
  all.values["matrix_fraction"].push_back(0.5);
  for (auto& [key, values] : all.values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    all.keys.push_back(key);
  }
  const std::vector<std::pair<std::vector<std::string>, const char*>> shelves{
      {{"model"}, "models"},
      {{"machine"}, "topologies/machines"},
      {{"machine", "chip"}, "topologies/chips"},
      {{"workload", "remat"}, "scenarios/remats"},
      {{"sharding"}, "scenarios/shardings"},
      {{"software"}, "scenarios/software"}};
  for (const auto& [path, folder] : shelves) {
    Slot slot{path, {}, {}};
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(root / folder))
      if (entry.path().extension() == ".json")
        files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
      slot.names.push_back(file.stem().string());
      std::vector<std::string> from;
      collect_paths(parse_json_file(file.string()), from, slot);
    }
    all.slots.push_back(std::move(slot));
  }
  return all;
}

const Knowledge& knowledge()
{
  static const Knowledge all = learn();
  return all;
}

Json edge_number(Random& random)
{
  static const std::vector<Json> edges{
      0,         -1,        1,         2,          3,          4,          5,           7,
      8,         12,        16,        17,         31,         32,         64,          127,
      128,       251,       256,       1000,       1024,       4093,       10'000,      65'536,
      65'537,    999'983,   1'000'000, 10'000'000, 16'000'000, 99'999'989, 100'000'000, 1'000'000'000,
      INT32_MAX, 1LL << 32, 1LL << 53, INT64_MAX,  INT64_MIN,  UINT64_MAX, 1e308,       -1e308,
      5e-324,    -0.0,      0.5,       0.001,      1.5,        1e18,       1e30,        0.9999999999};
  return any_of(edges, random);
}

Json changed_number(const Json& json, Random& random)
{
  if (!json.is_number_integer() || below(3, random) == 0)
    return edge_number(random);
  const auto value = json.get<std::uint64_t>();
  const auto by    = std::uint64_t{2} + below(3, random);
  switch (below(4, random)) {
  case 0:
    return value + 1;
  case 1:
    return value - 1;
  case 2:
    return value * by;
  default:
    return value / by;
  }
}

// "45 GB/s": another number before the unit, or another unit.
std::string changed_quantity(const std::string& text, Random& random)
{
  static const std::vector<std::string> units{
      "s",      "ms",      "us",      "ns",      "ps",    "h",     "B",    "kB",   "MB",   "GB",   "TB",
      "EB",     "KiB",     "MiB",     "GiB",     "b/s",   "Gb/s",  "GB/s", "TB/s", "PB/s", "EB/s", "kB/s",
      "FLOP/s", "GFLOP/s", "TFLOP/s", "EFLOP/s", "GOP/s", "TOP/s", "W",    "MW",   "",     "GHz",  "%"};
  static const std::vector<std::string> numbers{"0",      "1",    "-1",  "1000", "0.001", "1e18",  "1e-12", "1e308",
                                                "1e-320", "3600", "nan", "inf",  "0x10",  "1e999", "."};
  const auto space         = text.find(' ');
  const std::string number = text.substr(0, space);
  const std::string unit   = space == std::string::npos ? "" : text.substr(space + 1);
  return below(2, random) == 0 ? any_of(numbers, random) + " " + unit : number + " " + any_of(units, random);
}

// "12x16x16"
std::string changed_shape(Random& random)
{
  static const std::vector<std::string> sizes{"1",  "2",  "3",   "4",    "8",       "12", "16",
                                              "17", "64", "256", "1000", "1000000", "0",  "-4"};
  std::string shape;
  for (std::size_t left = 1 + below(3, random); left > 0; --left)
    shape += any_of(sizes, random) + (left > 1 ? "x" : "");
  return shape;
}

Json known_value(const std::string& key, Random& random)
{
  const auto found = knowledge().values.find(key);
  if (found == knowledge().values.end() || below(8, random) == 0)
    return any_of(knowledge().values.at(any_of(knowledge().keys, random)), random);
  return any_of(found->second, random);
}

Json any_scalar(Random& random)
{
  static const std::vector<Json> scalars{nullptr,    true,          false,          "",
                                         "x",        Json::array(), Json::object(), Json::array({Json::array()}),
                                         "\u0001\n", "\xc3\xa9"};
  return any_of(scalars, random);
}

void change_value(const Node& node, Random& random)
{
  Json& json = *node.json;
  if (below(24, random) == 0)
    json = any_scalar(random);
  else if (json.is_number())
    json = changed_number(json, random);
  else if (node.key == "slice")
    json = changed_shape(random);
  else if (json.is_string() && !json.get<std::string>().empty() && json.get<std::string>()[0] <= '9' &&
           below(4, random) > 0)
    json = changed_quantity(json.get<std::string>(), random);
  else if (json.is_boolean() && below(4, random) > 0)
    json = !json.get<bool>();
  else
    json = known_value(node.key, random);
}

void change_structure(const Node& node, Random& random)
{
  Json& json = *node.json;
  if (json.is_object()) {
    std::vector<std::string> keys;
    for (const auto& item : json.items())
      keys.push_back(item.key());
    const std::string key = keys.empty() ? "" : any_of(keys, random);
    const std::string other =
        below(2, random) == 0 && !keys.empty() ? any_of(keys, random) : any_of(knowledge().keys, random);
    switch (below(4, random)) {
    case 0:
      json.erase(key);
      break;
    case 1:
      json[other] = known_value(other, random);
      break;
    case 2: // a copy
      json[other] = keys.empty() ? Json() : Json(json[key]);
      break;
    default: // moved
      if (!keys.empty()) {
        Json moved = std::move(json[key]);
        json.erase(key);
        json[other] = std::move(moved);
      }
    }
  } else if (json.is_array()) {
    if (!json.empty() && below(2, random) == 0)
      json.erase(below(json.size(), random));
    else
      json.push_back(json.empty() || below(2, random) == 0 ? known_value(node.key, random)
                                                           : Json(json[below(json.size(), random)]));
  } else if (below(4, random) == 0) {
    json = Json::array({json});
  } else {
    json = known_value(node.key, random);
  }
}

// Lays a value of some file of the catalogue, often changed, over what the scenario names.
void lay_over_reference(Json& scenario, Random& random)
{
  const Slot& slot = any_of(knowledge().slots, random);
  Json* at         = &scenario;
  for (const std::string& key : slot.path) {
    if (at->is_string())
      *at = {{"base", *at}};
    if (!at->is_object())
      return;
    at = &(*at)[key];
  }
  if (at->is_null() || below(4, random) == 0) {
    if (at->is_object())
      (*at)["base"] = any_of(slot.names, random);
    else
      *at = any_of(slot.names, random);
    return;
  }
  if (at->is_string())
    *at = {{"base", *at}};
  const auto& [path, value] = any_of(slot.values, random);
  for (const std::string& key : path) {
    if (!at->is_object())
      *at = Json::object();
    at = &(*at)[key];
  }
  *at = value;
  if (below(3, random) > 0)
    change_value({at, path.back()}, random);
}

// One more device along a mesh axis needs more of the machine: sizes that fit together, as single changes seldom do.
void grow(Json& scenario, Random& random)
{
  if (!scenario.contains("mesh") || !scenario["mesh"].is_object() || scenario["mesh"].empty() ||
      !scenario.contains("machine"))
    return;
  static const std::vector<std::int64_t> factors{2, 3, 4, 7, 8, 16, 64};
  const std::int64_t factor = any_of(factors, random);
  Json& machine             = scenario["machine"];
  if (machine.is_string())
    machine = {{"base", machine}};
  if (!machine.is_object())
    return;
  std::vector<std::string> names;
  for (const auto& item : scenario["mesh"].items())
    names.push_back(item.key());
  const std::string name =
      below(3, random) == 0 ? std::string(below(2, random) == 0 ? "pipeline" : "more") : any_of(names, random);
  Json& axis = scenario["mesh"][name];
  if (!axis.is_object())
    axis = {{"size", 1}, {"on", Json::array()}};
  if (axis["size"].is_number_integer())
    axis["size"] = axis["size"].get<std::uint64_t>() * static_cast<std::uint64_t>(factor);
  if (name == "pipeline" && !scenario.contains("pipeline"))
    scenario["pipeline"] = known_value("pipeline", random);
  const char* copies = machine.contains("nodes") ? "nodes" : "pods";
  const std::uint64_t had =
      machine.contains(copies) && machine[copies].is_number_integer() ? machine[copies].get<std::uint64_t>() : 1;
  machine[copies] = had * static_cast<std::uint64_t>(factor);
  Json part       = {{"axis", "dcn"}, {"length", factor}};
  if (had > 1)
    part["stride"] = had;
  if (!axis["on"].is_array())
    axis["on"] = Json::array({axis["on"]});
  axis["on"].push_back(std::move(part));
  if (scenario.contains("workload") && scenario["workload"].is_object() &&
      scenario["workload"]["batch"].is_number_integer())
    scenario["workload"]["batch"] =
        scenario["workload"]["batch"].get<std::uint64_t>() * static_cast<std::uint64_t>(factor);
}

// What of `text` is JSON; a null where it is none.
Json parsed(const std::string& text)
{
  try {
    return parse_json(text, "input");
  } catch (const InputError&) {
    return nullptr;
  }
}

std::string written(const Json& json)
{
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace

void change_anything(Json& json, Random& random)
{
  const std::vector<Node> nodes = nodes_of(json);
  Node chosen                   = any_of(nodes, random);
  if (is_prose(chosen.key))
    chosen = any_of(nodes, random);
  if (below(3, random) > 0 && !chosen.json->is_structured())
    change_value(chosen, random);
  else
    change_structure(chosen, random);
}

void change_scenario(Json& scenario, Random& random)
{
  const std::size_t kind = below(16, random);
  if (kind < 4)
    lay_over_reference(scenario, random);
  else if (kind == 4)
    grow(scenario, random);
  else
    change_anything(scenario, random);
}

std::optional<std::string> mutated_json(const std::string& input, Random& random, void (*change)(Json&, Random&))
{
  Json json = parsed(input);
  if (!json.is_object())
    return {};
  for (bool more = true; more; more = below(3, random) == 0)
    change(json, random);
  return written(json);
}

std::optional<std::string> crossed_json(const std::string& input, const std::string& donor, Random& random)
{
  Json json  = parsed(input);
  Json other = parsed(donor);
  if (!json.is_object() || !other.is_object())
    return {};
  const std::vector<Node> nodes = nodes_of(json);
  std::vector<Node> donors      = nodes_of(other);
  const Node& chosen            = any_of(nodes, random);
  const auto same =
      std::stable_partition(donors.begin(), donors.end(), [&](const Node& node) { return node.key == chosen.key; });
  if (same != donors.begin())
    donors.erase(same, donors.end());
  *chosen.json = *any_of(donors, random).json;
  return written(json);
}

std::string any_key(Random& random)
{
  return any_of(knowledge().keys, random);
}

Json other_value(const Json& value, const std::string& key, Random& random)
{
  Json other = value;
  change_value({&other, key}, random);
  return other;
}

} // namespace podsim::fuzz
