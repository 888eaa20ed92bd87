#include "scenarios/scenario_files.hpp"

#include "sim/core/input.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <initializer_list>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

bool has_any(const Json& json, std::initializer_list<const char*> names)
{
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return json.contains(name); });
}

bool has_only(const Json& json, const std::vector<std::string>& names)
{
  for (const auto& item : json.items())
    if (std::find(names.begin(), names.end(), item.key()) == names.end())
      return false;
  return true;
}

bool names_part(const std::string& name, const Catalogue& catalogue)
{
  for (const Shelf shelf :
       {Shelf::models, Shelf::chips, Shelf::machines, Shelf::shardings, Shelf::remats, Shelf::software}) {
    const std::vector<std::string> known = catalogue.names(shelf);
    if (std::binary_search(known.begin(), known.end(), name))
      return true;
  }
  return false;
}

// What lies over a base is of the base's kind. A name may be that of a model and of a scenario: there the keys tell.
bool is_scenario(const Json& json, const std::string& file, const Catalogue& catalogue, int depth)
{
  constexpr int deepest = 16;
  if (!json.is_object() || has_any(json, {"axes", "compare", "scenarios", "folders"}))
    return false;
  if (has_any(json, {"machine", "mesh", "workload", "micro_benchmark"}) ||
      (json.contains("model") && json.contains("schema_version")))
    return true;
  const auto base = json.find("base");
  if (base == json.end() || !base->is_string() || depth == deepest)
    return false;
  const auto name = base->get<std::string>();
  if (names_part(name, catalogue))
    return has_only(json, {"$schema", "schema_version", "base", "name", "note", "model", "pipeline", "sharding",
                           "software", "faults", "published"});
  try {
    const std::string under = catalogue.find(Shelf::scenarios, name, file);
    return is_scenario(catalogue.read(under), under, catalogue, depth + 1);
  } catch (const InputError&) {
    return true; // to be told that its base is missing or broken
  }
}

} // namespace

bool is_scenario(const Json& json, const std::string& file, const Catalogue& catalogue)
{
  return is_scenario(json, file, catalogue, 0);
}

ScenarioFiles scenario_files(const std::string& folder, const Catalogue& catalogue)
{
  ScenarioFiles found;
  for (std::string& file : json_files_below(folder)) {
    bool scenario = true;
    try {
      scenario = is_scenario(catalogue.read(file), file, catalogue);
    } catch (const InputError&) { // said when it is read as a scenario
    }
    if (scenario)
      found.scenarios.push_back(std::move(file));
    else if (catalogue.within(file) == file) // those of the catalogue are known to be its parts
      found.others.push_back(std::move(file));
  }
  return found;
}

std::string passed_over(const std::vector<std::string>& others)
{
  switch (others.size()) {
  case 0:
    return "";
  case 1:
    return fmt::format("passed over {}, which is no scenario", others.front());
  case 2:
    return fmt::format("passed over {} and {}, which are no scenarios", others.front(), others.back());
  default:
    return fmt::format("passed over {} and {} other files, which are no scenarios", others.front(), others.size() - 1);
  }
}

} // namespace podsim
