#include "tests/random/rewordings.hpp"

#include "reports/json.hpp"
#include "reports/text.hpp"
#include "sim/app/overview.hpp"
#include "sim/jobs/engines.hpp"
#include "tests/random/simulated.hpp"
#include "tests/support/run_program.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace podsim::test {
namespace {

using nlohmann::json;

// Files of one check, gone after it.
class Folder {
public:
  Folder() : path_(std::filesystem::temp_directory_path() / fmt::format("podsim-random-{}", getpid()))
  {
    std::filesystem::create_directories(path_);
  }
  ~Folder()
  {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Folder(const Folder&)            = delete;
  Folder& operator=(const Folder&) = delete;

  std::string write(const std::string& name, const json& text) const
  {
    std::ofstream(path_ / name) << text.dump();
    return (path_ / name).string();
  }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

private:
  std::filesystem::path path_;
};

std::vector<std::string> sizes_of(const std::string& slice)
{
  std::vector<std::string> sizes;
  std::istringstream text(slice);
  for (std::string size; std::getline(text, size, 'x');)
    sizes.push_back(size);
  return sizes;
}

// Which torus axis is called what from now on.
struct Renaming {
  std::vector<std::size_t> to;
  std::string of(const std::string& axis) const
  {
    const std::size_t own = axis.size() == 1 ? static_cast<std::size_t>(axis[0] - 'x') : to.size();
    return own < to.size() ? std::string(1, static_cast<char>('x' + to[own])) : axis;
  }
};

void rename_faults(json& faults, const Renaming& renaming)
{
  for (json& kind : faults) {
    if (!kind.is_array())
      continue;
    for (json& fault : kind) {
      if (fault.contains("axis"))
        fault["axis"] = renaming.of(fault["axis"]);
      if (!fault.contains("at"))
        continue;
      json at = json::object();
      for (const auto& [axis, coordinate] : fault["at"].items())
        at[renaming.of(axis)] = coordinate;
      fault["at"] = at;
    }
  }
}

} // namespace

json turned(json& scenario, Dice& dice)
{
  const json& machine = scenario.at("machine");
  const json faults   = scenario.value("faults", json::object());
  if (!machine.contains("slice") || faults.contains("random") || faults.contains("jitter")) // drawn by a chip's number
    return nullptr;
  const std::vector<std::string> sizes = sizes_of(machine.at("slice"));
  Renaming renaming;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    renaming.to.push_back(i);
  dice.shuffle(renaming.to);
  const json hosts               = document_of(scenario).json->at("machine").at("host").at("chips").at("value");
  json other                     = scenario;
  std::vector<std::string> shape = sizes;
  json& turned_hosts = other["machine"]["host"]["chips"] = hosts;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    shape[renaming.to[i]]        = sizes[i];
    turned_hosts[renaming.to[i]] = hosts[i];
  }
  other["machine"]["slice"] = fmt::format("{}", fmt::join(shape, "x"));
  for (json& axis : other["mesh"])
    for (json& part : axis["on"]) {
      json& name = part.is_string() ? part : part["axis"];
      name       = renaming.of(name.get<std::string>());
    }
  if (other.contains("faults"))
    rename_faults(other["faults"], renaming);
  return other;
}

Verdict turned_is_same(const Case& c)
{
  if (c.other.is_null())
    return passed_over("nothing to turn");
  const double one   = step_of(c.scenario, {});
  const double other = step_of(c.other, {});
  return one == other ? well : fails(unequal("turned: step", other, one));
}

namespace {

nlohmann::ordered_json reversed(const json& value)
{
  if (value.is_array()) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const json& one : value)
      list.push_back(reversed(one));
    return list;
  }
  if (!value.is_object())
    return nlohmann::ordered_json::parse(value.dump());
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  std::vector<std::string> keys;
  for (const auto& item : value.items())
    keys.push_back(item.key());
  std::reverse(keys.begin(), keys.end());
  for (const std::string& key : keys)
    object[key] = reversed(value[key]);
  return object;
}

} // namespace

Verdict key_order_says_nothing(const Case& c)
{
  const Prepared& one = prepared_from(c.scenario);
  const Prepared other =
      prepare(read_scenario(resolve_text(reversed(c.scenario).dump(), PODSIM_SOURCE_DIR "/drawn.json", drawn_from())));
  if (one.scenario.hash != other.scenario.hash)
    return fails("another hash");
  const std::string differs = difference(measured(one, {}), measured(other, {}));
  return differs.empty() ? well : fails(differs);
}

namespace {

void collect_leaves(const json& value, const std::string& path, std::vector<std::string>& leaves)
{
  if (value.is_object())
    for (const auto& [key, child] : value.items())
      collect_leaves(child, path + "/" + key, leaves);
  else if (!path.ends_with("/base"))
    leaves.push_back(path);
}

} // namespace

json stripped(json& scenario, Dice& dice)
{
  std::vector<std::string> leaves;
  for (const char* part : {"machine", "workload", "software", "pipeline", "faults"})
    if (scenario.contains(part) && scenario[part].is_object())
      collect_leaves(scenario[part], std::string("/") + part, leaves);
  dice.shuffle(leaves);
  json other = scenario;
  for (std::size_t i = 0; i < std::min<std::size_t>(leaves.size(), 2); ++i)
    other[json::json_pointer(leaves[i]).parent_pointer()].erase(leaves[i].substr(leaves[i].rfind('/') + 1));
  return other;
}

Verdict set_is_file(const Case& c)
{
  std::vector<std::string> whole;
  collect_leaves(c.scenario, "", whole);
  std::vector<std::string> changes;
  for (const std::string& leaf : whole) {
    if (c.other.contains(json::json_pointer(leaf)))
      continue;
    std::string path = leaf.substr(1);
    std::replace(path.begin(), path.end(), '/', '.');
    changes.push_back(path + "=" + c.scenario[json::json_pointer(leaf)].dump());
  }
  const Folder folder;
  try {
    const Document set = resolve(folder.write("file.json", c.other), changes, drawn_from());
    if (content_hash(set) == content_hash(document_of(c.scenario)))
      return well;
  } catch (const InputError& refused) {
    return fails(fmt::format("refused: {}", refused.what()));
  }
  return fails(fmt::format("--set {}: another scenario", fmt::join(changes, " --set ")));
}

json parted(json& scenario, Dice& dice)
{
  if (!scenario.at("machine").contains("nvlink"))
    return nullptr;
  const std::int64_t near = dice.integer(2, 3);
  const std::int64_t far  = dice.integer(2, 8 / near / 2 + 1);
  const std::int64_t stages =
      near * far <= 4 && scenario.contains("pipeline") && scenario["pipeline"]["schedule"] != "interleaved" ? 2 : 1;
  const auto part = [](std::int64_t length, std::int64_t stride) {
    return json{{"axis", "dcn"}, {"length", length}, {"stride", stride}};
  };
  const std::int64_t gpus     = scenario["machine"]["nvlink"].value("gpus", 8);
  const std::int64_t replicas = gpus * near * far;
  scenario.erase("faults");
  scenario.erase("pipeline");
  scenario["sharding"] = "data-parallel";
  scenario["model"].erase("experts");
  scenario["model"]["layers"]                   = 4;
  scenario["machine"]["nodes"]                  = near * far * stages;
  scenario["machine"]["dcn"]["latency"]         = "1 ps";
  scenario["machine"]["nvlink"]["latency"]      = "1 ps";
  scenario["software"]["reduce_after_backward"] = json::array();
  scenario["software"]["dcn_all_reduce"]        = "ring"; // others take the last part alone
  scenario["workload"]["micro_batch"]           = 1;
  scenario["workload"]["batch"]                 = replicas * 4;
  if (stages > 1)
    scenario["pipeline"] = {{"schedule", dice.one_of<std::string>({"gpipe", "1f1b"})}};
  json other     = scenario;
  const auto lay = [&](json& one, const json& first, const json& second, std::int64_t stride) {
    one["mesh"] = {{"data", {{"size", replicas}, {"on", {"nvlink", first}}}}};
    if (!second.is_null())
      one["mesh"]["data"]["on"].push_back(second);
    if (stages > 1)
      one["mesh"]["pipeline"] = {{"size", stages}, {"on", json::array({part(stages, stride)})}};
  };
  lay(scenario, part(near * far, 1), nullptr, near * far);
  lay(other, part(near, 1), part(far, near * stages), near);
  return other;
}

Verdict parted_is_same(const Case& c)
{
  if (c.other.is_null())
    return passed_over("no nodes");
  const double one   = step_of(c.scenario, {});
  const double other = step_of(c.other, {});
  // A chunk's last hop is not a whole number of ticks.
  return std::abs(other / one - 1) <= 1e-6 ? well : fails(unequal("in two parts: step", other, one));
}

namespace {

// Every line of the memory table that `show` prints, and its values.
std::string show_differs(const Prepared& prepared, const Document& document, const std::string& shown)
{
  const Overview all = overview(prepared);
  std::istringstream memory(memory_text(*all.description.memory, all.description.capacity).text());
  for (std::string line; std::getline(memory, line);)
    if (shown.find(line) == std::string::npos)
      return fmt::format("show lacks \"{}\"", line);
  for (const auto& [path, value] : resolved_values(document))
    if (shown.find(path) == std::string::npos)
      return fmt::format("show lacks {}", path);
  return {};
}

std::string row_differs(const Folder& folder, const std::string& file, const json& scenario, const json& result)
{
  const json study{{"schema_version", 1},
                   {"name", "one row"},
                   {"scenario", file},
                   {"axes", json::array({{{"name", "batch"},
                                          {"path", "workload.batch"},
                                          {"values", json::array({scenario["workload"]["batch"]})}}})},
                   {"metrics", {"step_time", "tokens_per_s", "mfu", "hfu", "memory"}}};
  const Outcome swept = run_program(PODSIM_PROGRAM, {"sweep", folder.write("study.json", study), "--db",
                                                     folder.path("study.sqlite"), "--json", "-", "--workers", "1"});
  const json row      = json::parse(swept.out, nullptr, false);
  if (!row.is_object() || row.value("status", "") != "ok")
    return fmt::format("sweep: exit {}, {}{}", swept.code, swept.out.substr(0, 200), swept.err.substr(0, 200));
  const std::vector<std::pair<std::string, json::json_pointer>> both{
      {"step_time", json::json_pointer("/step_time_s")},
      {"tokens_per_s", json::json_pointer("/tokens_per_s")},
      {"mfu", json::json_pointer("/mfu")},
      {"hfu", json::json_pointer("/hfu")},
      {"memory", json::json_pointer("/memory_per_chip_bytes/total")}};
  for (const auto& [name, of_run] : both)
    if (row.value(name, json()) != result.value(of_run, json()))
      return fmt::format("{}: {} in the sweep's row against {}", name, row.value(name, json()).dump(),
                         result.value(of_run, json()).dump());
  return {};
}

} // namespace

Verdict program_is_library(const Case& c)
{
  const Folder folder;
  const std::string file  = folder.write("drawn.json", c.scenario);
  const Outcome ran       = run_program(PODSIM_PROGRAM, {"run", file, "--json", "-"});
  Document document       = resolve(file, {}, drawn_from());
  const Document kept     = resolve(file, {}, drawn_from());
  const Prepared prepared = prepare(read_scenario(std::move(document)));
  Evaluation result       = evaluate(prepared, {on_engine("simgrid")});
  result.simulation.wall.reset();
  const json own = json::parse(to_json(result));
  const json got = json::parse(ran.out, nullptr, false);
  if (!got.is_object())
    return fails(fmt::format("run: exit {}, {}", ran.code, ran.err.substr(0, 300)));
  json result_alone = got;
  result_alone.erase("validation"); // of other runs
  if (const json differs = json::diff(own, result_alone); !differs.empty())
    return fails("run against the library: " + differs.front().dump());
  const Outcome shown = run_program(PODSIM_PROGRAM, {"show", file});
  if (const std::string differs = show_differs(prepared, kept, shown.out); !differs.empty())
    return fails(differs);
  const std::string differs = row_differs(folder, file, c.scenario, got);
  return differs.empty() ? well : fails(differs);
}

} // namespace podsim::test
