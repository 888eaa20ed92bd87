#pragma once
// A scenario with figures that somebody published for it.

#include "tests/support/sandbox.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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

inline json scenario(const std::vector<json>& published, const json& patch = json::object())
{
  json made = json::parse(read_text(source + "/scenarios/training/palm-8b.json"));
  made.erase("note");
  made["published"] = published;
  made.merge_patch(patch);
  return made;
}

inline json run_json(const std::string& file)
{
  return json::parse(call({"run", file, "--json", "-"}).out);
}

} // namespace podsim::test
