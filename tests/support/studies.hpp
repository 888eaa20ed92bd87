#pragma once
// Studies of PaLM 8B, and what is stored of them.

#include "sim/studies/sweep.hpp"
#include "tests/support/database.hpp"
#include "tests/support/sandbox.hpp"

#include <nlohmann/json.hpp>
#include <string>

namespace podsim::test {

using nlohmann::json;

inline json study(const json& axes, const json& patch = json::object())
{
  json made{{"schema_version", 1},
            {"name", "a study"},
            {"scenario", source + "/scenarios/training/palm-8b.json"},
            {"axes", axes},
            {"metrics", {"step_time", "mfu"}}};
  made.merge_patch(patch);
  return made;
}

inline Sweep read(const json& made)
{
  return read_sweep_text(made.dump(), "study.json");
}

// So many scenarios that differ in the bandwidth of their links, of some milliseconds each.
inline json many_links(int count)
{
  return study({{{"path", "machine.ici.link_bandwidth"},
                 {"range", {{"from", 10}, {"to", 9 + count}, {"step", 1}, {"unit", "GB/s"}}}}});
}

inline std::int64_t stored(const std::string& file)
{
  return number_of(file, "SELECT count(*) FROM results");
}

// No scenario was stored twice, not even one that was removed in between: sequences are never used again.
inline void check_none_twice(const std::string& file)
{
  CHECK(number_of(file, "SELECT max(sequence) FROM results") == stored(file));
  CHECK(number_of(file, "SELECT count(DISTINCT hash) FROM results") == stored(file));
}

} // namespace podsim::test
