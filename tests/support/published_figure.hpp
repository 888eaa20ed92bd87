#pragma once
// A figure as a scenario's "published" has it.

#include <nlohmann/json.hpp>
#include <string>

namespace podsim::test {

using nlohmann::json;

inline json published_figure(const std::string& id, const json& patch = json::object())
{
  json made{{"id", id},
            {"metric", "mfu"},
            {"value", 46.2},
            {"unit", "%"},
            {"convention", "palm"},
            {"statistic", "unstated"},
            {"calibration", false},
            {"source", "made up"}};
  made.merge_patch(patch);
  return made;
}

} // namespace podsim::test
