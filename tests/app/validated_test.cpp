#include "tests/support/published_scenario.hpp"

#include <catch2/catch.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("run: says how far the family of its chip was off")
{
  const std::string file = source + "/scenarios/training/palm-540b.json";
  CHECK_THAT(call({"run", file}).out,
             Catch::Contains("  validated TPU v4: ") && Catch::Contains("(podsim validate --family \"TPU v4\")"));
  const json all  = json::parse(read_text(source + "/scenarios/validation.json"))["families"];
  const json kept = *std::find_if(all.begin(), all.end(), [](const json& one) { return one["family"] == "TPU v4"; });
  const json bar  = run_json(file)["validation"];
  CHECK(bar["family"] == kept["family"]);
  CHECK(bar["count"] == kept["count"]);
  CHECK(bar["mean_abs_error"] == kept["mean_abs_error"]);
  CHECK_THAT(call({"run", file, "--set", "machine.chip.name=My chip"}).out, Catch::Contains("  validated not: "));
}
