#pragma once
// Files as users have them in a folder of their own: a scenario, a study and its database, a baseline.

#include "tests/support/database.hpp"
#include "tests/support/published_figure.hpp"
#include "tests/support/sandbox.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace podsim::test {

using nlohmann::json;

inline const std::string model_run = source + "/scenarios/training/palm-8b.json";

inline json scenario(const json& patch = json::object())
{
  json made = json::parse(read_text(model_run));
  made.merge_patch(patch);
  return made;
}

inline json published(const std::string& id)
{
  return json::array({published_figure(id)});
}

inline json study(const json& patch = json::object())
{
  json made{{"schema_version", 1},
            {"name", "a study"},
            {"scenario", "a.json"},
            {"axes", {{{"path", "workload.batch"}, {"values", {256, 512}}}}},
            {"metrics", {"step_time", "mfu"}}};
  made.merge_patch(patch);
  return made;
}

// In the sandbox's folder, with podsim as $PODSIM.
inline Outcome shell(const Sandbox& box, const std::string& script, std::map<std::string, std::string> environment = {})
{
  environment["PODSIM"] = PODSIM_PROGRAM;
  return run_program("sh", {"-c", script}, {.environment = environment, .directory = box.path("")});
}

inline std::vector<std::string> names_in(const Sandbox& box)
{
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(box.path("")))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// A scenario, a study of it that was swept, and a baseline of it.
inline void fill(const Sandbox& box)
{
  box.write("a.json", scenario({{"published", published("X")}}));
  box.write("s.json", study());
  REQUIRE(box.call({"sweep", "s.json", "--db", "s.sqlite", "--quiet"}).code == done);
  box.write("b.json", json{{"schema_version", 1}, {"scenarios", {"a.json"}}});
  REQUIRE(box.call({"check", "b.json", "--update", "--quiet"}).code == done);
}

} // namespace podsim::test
