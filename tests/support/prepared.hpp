#pragma once
// Scenarios of the catalogue and some written out, prepared.

#include "sim/evaluate/evaluate.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace podsim::test {

using nlohmann::json;

inline const Catalogue& catalogue()
{
  static const Catalogue all(PODSIM_SOURCE_DIR);
  return all;
}

inline Prepared prepared(const json& scenario)
{
  return podsim::prepare(read_scenario(resolve_text(scenario.dump(), "own.json", catalogue())));
}

inline Prepared catalogued(const std::string& name, const std::vector<std::string>& changes = {})
{
  return podsim::prepare(read_scenario(resolve(catalogue().file(Shelf::scenarios, name), changes, catalogue())));
}

// Llama 3 8B on one node of 8 H100, each with an eighth of each sequence.
inline json llama(int sequence, const std::string& remat, const std::string& software = "nemo-2025")
{
  return {{"schema_version", 1},
          {"name", "Llama 3 8B on 8 H100"},
          {"model", "llama3-8b"},
          {"machine",
           {{"base", "dgx-h100"}, {"nodes", 1}, {"chip", {{"base", "h100-80gb-2025"}, {"hbm_capacity", "4 TiB"}}}}},
          {"workload",
           {{"batch", 8}, {"micro_batch", 1}, {"sequence", sequence}, {"remat", remat}, {"optimizer", "adamw"}}},
          {"mesh", {{"context", {{"size", 8}, {"on", "nvlink"}}}}},
          {"sharding", "context"},
          {"software", software}};
}

// Mixtral's shape: 8 experts on 8 GPUs, each GPU with tokens of its own.
inline json mixtral(int batch, const json& capacity)
{
  json experts{{"count", 8}, {"top_k", 2}, {"every", 1}, {"mlp", "gated"}};
  experts.update(capacity);
  return {{"schema_version", 1},
          {"name", "Mixtral on 8 H100"},
          {"model", {{"base", "llama3-8b"}, {"vocabulary", 32000}, {"experts", experts}}},
          {"machine",
           {{"base", "dgx-h100"}, {"nodes", 1}, {"chip", {{"base", "h100-80gb-2025"}, {"hbm_capacity", "400 GiB"}}}}},
          {"workload",
           {{"batch", batch}, {"micro_batch", 1}, {"sequence", 4096}, {"remat", "none"}, {"optimizer", "adamw"}}},
          {"mesh", {{"ep", {{"size", 8}, {"on", "nvlink"}}}}},
          {"sharding",
           {{"name", "experts"},
            {"weights", {{"expert", "ep"}}},
            {"activations", {{"batch", "ep"}, {"expert", "ep"}}},
            {"compute", {{"batch", "ep"}, {"expert", "ep"}}}}},
          {"software", "nemo-2025"}};
}

inline constexpr double gib = 1024.0 * 1024 * 1024;

} // namespace podsim::test
