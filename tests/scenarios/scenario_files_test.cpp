#include "scenarios/scenario_files.hpp"

#include "tests/support/own_files.hpp"
#include "tests/support/prepared.hpp"

#include <catch2/catch.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("what is a scenario among the files of a folder")
{
  const auto is = [](const json& file) { return is_scenario(file, source + "/mine.json", catalogue()); };
  CHECK(is(scenario()));
  CHECK(is({{"machine", 7}})); // with whatever mistakes
  CHECK(is({{"schema_version", 1}, {"model", "palm-8b"}}));
  CHECK(is({{"base", "palm-54b"}, {"wrkload", 1}})); // of a base that there is not
  CHECK(is({{"base", "a100/palm-62b"}, {"wrkload", 1}}));
  CHECK(is({{"base", "palm-540b"}, {"faults", json::object()}})); // a model's name and a scenario's: its keys tell
  CHECK_FALSE(is({{"base", "palm-540b"}, {"layers", 12}}));
  CHECK_FALSE(is({{"base", "tpu-v4"}, {"chip", "tpu-v5e"}}));
  CHECK_FALSE(is(json::array({1})));
  CHECK_FALSE(is(json::object()));
  for (const char* part :
       {"models/palm-8b", "topologies/chips/tpu-v4", "topologies/machines/tpu-v4", "scenarios/shardings/fsdp",
        "scenarios/software/nemo-2025", "scenarios/remats/full", "scenarios/studies/palm-pods",
        "scenarios/studies/palm-meshes", "scenarios/validation", "scenarios/scenario.schema", "tests/baseline"}) {
    INFO(part);
    CHECK_FALSE(is(json::parse(read_text(source + "/" + part + ".json"))));
  }
  CHECK_FALSE(is(json::parse(call({"run", "palm-8b", "--json", "-"}).out)));
  const ScenarioFiles found = scenario_files(source + "/scenarios", catalogue());
  CHECK(found.scenarios.size() == catalogue().names(Shelf::scenarios).size());
}
