#include "tests/small_scenario.hpp"

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace podsim::test {
namespace {

using nlohmann::json;

std::int64_t size_of(const json& on, const SmallScenario& s)
{
  if (on == "dcn")
    return s.pods;
  if (on.is_object())
    return on.at("length").get<std::int64_t>();
  if (on.is_array()) {
    std::int64_t product = 1;
    for (const json& factor : on)
      product *= size_of(factor, s);
    return product;
  }
  std::string rest = s.slice;
  for (char axis = 'x'; axis < on.get<std::string>()[0]; ++axis)
    rest = rest.substr(rest.find('x') + 1);
  return std::stoll(rest);
}

} // namespace

Prepared prepare(const SmallScenario& s)
{
  const std::string data = PODSIM_SOURCE_DIR "/tests/data/";
  json mesh              = json::object();
  for (const auto& [name, on] : s.mesh)
    mesh[name] = {{"size", size_of(on, s)}, {"on", on}};
  const json scenario{{"schema_version", 1},
                      {"name", "small"},
                      {"model", data + s.model + ".json"},
                      {"machine", {{"base", data + "generic.json"}, {"slice", s.slice}, {"pods", s.pods}}},
                      {"workload", {{"batch", s.batch}, {"sequence", 64}, {"remat", s.remat}, {"optimizer", "adamw"}}},
                      {"mesh", mesh},
                      {"sharding", s.sharding},
                      {"software", s.software}};
  const auto file = std::filesystem::temp_directory_path() / ("podsim-test-" + std::to_string(getpid()) + ".json");
  std::ofstream(file) << scenario.dump();
  Document document = resolve(file.string(), s.changes, Catalogue(PODSIM_SOURCE_DIR));
  std::filesystem::remove(file);
  return podsim::prepare(read_scenario(std::move(document)));
}

Trace simulate(const Prepared& prepared, Granularity granularity, bool explicit_devices)
{
  const Scenario& s = prepared.scenario;
  return podsim::simulate(prepared.sharded, s.machine, s.placement, multi_axis(s),
                          {.granularity = granularity, .explicit_devices = explicit_devices, .progress = {}});
}

} // namespace podsim::test
