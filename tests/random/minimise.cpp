#include "tests/random/minimise.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>
#include <set>
#include <sstream>

namespace podsim::test {
namespace {

using nlohmann::json;
using Change = std::function<void(json&)>; // of both scenarios of a case

// ---- Axes ----

// The size of a machine's axis, to be read or written.
std::int64_t axis_size(const json& machine, const std::string& axis)
{
  if (axis == "dcn")
    return machine.value(machine.contains("nvlink") ? "nodes" : "pods", std::int64_t{1});
  if (axis == "nvlink")
    return machine.at("nvlink").value("gpus", std::int64_t{8});
  std::istringstream slice(machine.at("slice").get<std::string>());
  std::string size;
  for (char letter = 'x'; letter <= axis[0]; ++letter)
    std::getline(slice, size, 'x');
  return std::stoll(size);
}

void set_axis_size(json& machine, const std::string& axis, std::int64_t size)
{
  if (axis == "dcn") {
    machine[machine.contains("nvlink") ? "nodes" : "pods"] = size;
    return;
  }
  if (axis == "nvlink") {
    machine["nvlink"]["gpus"] = size;
    json& nics                = machine["host"]["nics"];
    if (nics.is_number())
      nics = std::gcd(nics.get<std::int64_t>(), size);
    return;
  }
  std::istringstream slice(machine.at("slice").get<std::string>());
  std::vector<std::string> sizes;
  for (std::string one; std::getline(slice, one, 'x');)
    sizes.push_back(one);
  sizes.at(static_cast<std::size_t>(axis[0] - 'x')) = std::to_string(size);
  machine["slice"]                                  = fmt::format("{}", fmt::join(sizes, "x"));
}

// A mesh axis's part on a machine's axis becomes `length` long; the batch and the stages' layers follow.
void resize(json& scenario, const std::string& mesh_axis, std::size_t index, std::int64_t length)
{
  json& mesh              = scenario.at("mesh");
  json& part              = mesh.at(mesh_axis).at("on").at(index);
  const bool whole        = part.is_string();
  const std::string axis  = whole ? part.get<std::string>() : part.at("axis").get<std::string>();
  const std::int64_t was  = whole ? axis_size(scenario.at("machine"), axis) : part.at("length").get<std::int64_t>();
  const std::int64_t near = whole ? 1 : part.value("stride", std::int64_t{1});
  set_axis_size(scenario.at("machine"), axis, axis_size(scenario.at("machine"), axis) / was * length);
  mesh[mesh_axis]["size"] = mesh[mesh_axis]["size"].get<std::int64_t>() / was * length;
  if (!whole)
    part["length"] = length;
  for (json& one : mesh)
    for (json& other : one.at("on"))
      if (other.is_object() && other["axis"] == axis && other.value("stride", std::int64_t{1}) > near)
        other["stride"] = other["stride"].get<std::int64_t>() / was * length;
  if (length == 1)
    mesh[mesh_axis]["on"].erase(index);
  if (mesh[mesh_axis]["on"].empty())
    mesh.erase(mesh_axis);
  json& workload = scenario.at("workload");
  if (mesh_axis == "data" || mesh_axis == "pod") {
    workload["batch"] = workload["batch"].get<std::int64_t>() / was * length;
  } else if (mesh_axis == "pipeline" && length == 1) {
    scenario.erase("pipeline");
  } else if (mesh_axis == "pipeline") {
    scenario["model"]["layers"] = scenario["model"]["layers"].get<std::int64_t>() / was * length;
    scenario["pipeline"].erase("layers");
  }
}

void add_resizings(const json& scenario, std::vector<Change>& changes)
{
  for (const auto& [name, axis] : scenario.at("mesh").items())
    for (std::size_t i = 0; i < axis.at("on").size(); ++i)
      for (const std::int64_t length : {1, 2, 3, 4}) {
        const json& part       = axis["on"][i];
        const std::int64_t now = part.is_string() ? (part == "core" ? 0 : axis_size(scenario.at("machine"), part))
                                                  : part.at("length").get<std::int64_t>();
        if (length < now)
          changes.emplace_back([name = name, i, length](json& one) { resize(one, name, i, length); });
      }
}

// ---- Settings ----

const std::vector<const char*> what_runs{"/software", "/pipeline", "/workload", "/model"};
const std::vector<const char*> where{"/faults", "/machine/host", "/machine/dcn", "/machine/ici", "/machine/nvlink", ""};

void add_removals(const json& scenario, const std::vector<const char*>& parts, std::vector<Change>& changes)
{
  for (const char* part : parts) {
    const json::json_pointer at(part);
    if (!scenario.contains(at) || !scenario[at].is_object())
      continue;
    for (const auto& [key, value] : scenario[at].items())
      if (key != "base") {
        changes.emplace_back([at, key = key](json& one) {
          if (one.contains(at))
            one[at].erase(key);
        });
        if (value.is_array())
          for (std::size_t i = 0; i < value.size(); ++i)
            changes.emplace_back([at, key = key, i](json& one) { one.at(at).at(key).erase(i); });
      }
  }
}

void add_values(const json& scenario, std::vector<Change>& changes)
{
  const auto set = [&](const char* place, const json& value) {
    const json::json_pointer at(place);
    if (scenario.contains(at) && scenario[at] != value)
      changes.emplace_back([at, value](json& one) { one[at] = value; });
  };
  const auto divide = [&](const char* place) {
    const json::json_pointer at(place);
    for (const std::int64_t divisor : {8, 4, 3, 2})
      if (scenario.contains(at) && scenario[at].is_number_integer())
        changes.emplace_back([at, divisor](json& one) {
          if (const auto now = one.at(at).get<std::int64_t>(); now % divisor == 0)
            one[at] = now / divisor;
        });
  };
  for (const char* size : {"/workload/batch", "/workload/micro_batch", "/model/layers", "/workload/sequence",
                           "/pipeline/chunks", "/model/heads"})
    divide(size);
  for (const std::int64_t layers : {1, 2, 3, 4})
    if (scenario.at("model").at("layers") > layers)
      set("/model/layers", layers);
  set("/model/d_model", 192);
  set("/model/d_ff", 384);
  set("/model/vocabulary", 1000);
  set("/model/key_value_heads", 1);
  set("/model/mlp", "plain");
  set("/model/block", "serial");
  set("/model/positions", "none");
  set("/model/kind", "decoder");
  set("/model/tied_embedding", true);
  set("/model/norm_scale", false);
  set("/workload/remat", "none");
  set("/workload/remat", "full");
  set("/workload/optimizer", "adamw");
  set("/pipeline/schedule", "gpipe");
  set("/pipeline/schedule", "1f1b");
  set("/sharding", "data-parallel");
  set("/sharding", "tensor-1d");
  set("/software/base", "xla-tpu-2021");
  set("/software/prefetch_layers", 0);
  set("/software/prefetch_layers", 1);
  set("/software/asynchronous", json::array());
  set("/software/reduce_after_backward", json::array());
  set("/software/multi_axis_collectives", "sequential");
  set("/software/dcn_all_reduce", "ring");
}

std::string as_text(const Case& c)
{
  return c.scenario.dump() + c.other.dump();
}

} // namespace

Case minimised(const Case& failing, const std::function<Verdict(const Case&)>& judge, std::chrono::seconds limit)
{
  const auto until = std::chrono::steady_clock::now() + limit;
  Case best        = failing;
  std::set<std::string> tried{as_text(failing)};
  for (bool smaller = true; smaller;) {
    smaller = false;
    std::vector<Change> changes;
    if (!check_called(failing.check).rewords) {
      add_resizings(best.scenario, changes);
      add_removals(best.other.is_null() ? best.scenario : best.other, where, changes);
    }
    add_removals(best.scenario, what_runs, changes);
    add_values(best.scenario, changes);
    for (const Change& change : changes) {
      if (std::chrono::steady_clock::now() > until)
        return best;
      Case attempt = best;
      try {
        change(attempt.scenario);
        if (!attempt.other.is_null())
          change(attempt.other);
      } catch (const std::exception&) { // it makes no sense here, as where an earlier one took a part away
        continue;
      }
      if (attempt.scenario != attempt.other && tried.insert(as_text(attempt)).second &&
          judge(attempt).kind == Verdict::Kind::fails) {
        best    = attempt;
        smaller = true;
      }
    }
  }
  return best;
}

} // namespace podsim::test
