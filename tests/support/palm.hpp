#pragma once
// PaLM's scenario, spoilt in one place and answered in one line.

#include "tests/support/sandbox.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace podsim::test {

using nlohmann::json;

inline const std::string palm_file = source + "/scenarios/training/palm-540b.json";

inline json palm(const json& patch = json::object())
{
  json scenario = json::parse(read_text(palm_file));
  scenario.merge_patch(patch);
  return scenario;
}

// PaLM's scenario with all that it refers to written out.
inline json palm_in_full()
{
  const auto part = [](const std::string& file) {
    json value = json::parse(read_text(source + "/" + file));
    value.erase("schema_version");
    return value;
  };
  json scenario        = palm();
  scenario["model"]    = part("models/palm-540b.json");
  scenario["sharding"] = part("scenarios/shardings/gspmd-2d.json");
  scenario["software"] = part("scenarios/software/xla-tpu-2021.json");
  json machine         = part("topologies/machines/tpu-v4.json");
  machine["chip"]      = part("topologies/chips/tpu-v4.json");
  machine.merge_patch(scenario["machine"]);
  machine.erase("base");
  scenario["machine"]           = machine;
  scenario["workload"]["remat"] = part("scenarios/remats/palm-540b.json");
  return scenario;
}

struct Wrong {
  json patch; // of PaLM's scenario
  Words words;
  int code = bad_input;
};

inline void check_wrong(const std::vector<Wrong>& table, const json& scenario)
{
  const Sandbox sandbox;
  for (const Wrong& wrong : table) {
    INFO("patch: " << wrong.patch);
    json spoilt = scenario;
    spoilt.merge_patch(wrong.patch);
    sandbox.write("s.json", spoilt);
    const Outcome outcome = sandbox.call({"show", "s.json"});
    CHECK(outcome.out.empty());
    check_error(outcome, wrong.code, wrong.words);
  }
}

// Every value of a JSON tree by its pointer, the tree itself not.
inline std::vector<json::json_pointer> places(const json& value, const json::json_pointer& at = json::json_pointer())
{
  std::vector<json::json_pointer> all;
  const auto add = [&](const json::json_pointer& place, const json& child) {
    all.push_back(place);
    const auto below = places(child, place);
    all.insert(all.end(), below.begin(), below.end());
  };
  if (value.is_object())
    for (const auto& [key, child] : value.items())
      add(at / key, child);
  else if (value.is_array())
    for (std::size_t i = 0; i < value.size(); ++i)
      add(at / i, value[i]);
  return all;
}

// Whether a place is within one of many values alike: the constants but one, the published figures but the first.
inline bool is_one_of_many(const json& scenario, const json::json_pointer& place)
{
  const std::string text = place.to_string();
  if (text.starts_with("/published/") && !text.starts_with("/published/0"))
    return true;
  const json& holder = scenario[place.parent_pointer()];
  return holder.is_object() && holder.contains("value") && holder.contains("source") &&
         !text.starts_with("/published/0") && !text.starts_with("/machine/chip/dispatch");
}

} // namespace podsim::test
