#pragma once
// A scenario with figures that somebody published for it.

#include "tests/support/published_figure.hpp"
#include "tests/support/sandbox.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace podsim::test {

using nlohmann::json;

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
