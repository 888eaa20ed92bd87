#pragma once
// A scenario as one types it for the first time.

#include "tests/support/sandbox.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace podsim::test {

using nlohmann::json;

// Llama 3 8B on 64 H100, fully sharded.
inline json first_scenario(const json& patch = json::object())
{
  json scenario{{"schema_version", 1},
                {"name", "mine"},
                {"model", "llama3-8b"},
                {"machine", {{"base", "dgx-h100"}, {"nodes", 8}}},
                {"workload", {{"batch", 512}, {"sequence", 4096}, {"remat", "full"}, {"optimizer", "adamw"}}},
                {"mesh", {{"data", {{"size", 64}, {"on", {"nvlink", "dcn"}}}}}},
                {"sharding", "fsdp"},
                {"software", "torchtitan-2024"}};
  scenario.merge_patch(patch);
  return scenario;
}

inline Outcome show(const json& scenario, Words changes = {})
{
  const Sandbox sandbox;
  sandbox.write("mine.json", scenario);
  Words arguments{"show", "mine.json"};
  for (std::string& change : changes)
    arguments.insert(arguments.end(), {"--set", std::move(change)});
  return sandbox.call(arguments);
}

inline json axis(int size, const json& on)
{
  return {{"size", size}, {"on", on}};
}

} // namespace podsim::test
