// What a scenario says of faults.

#include "tests/support/faulty.hpp"

#include <catch2/catch.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("a speed of 1 is no fault")
{
  const json at          = {{"pod", 1}, {"x", 2}, {"y", 1}, {"z", 0}};
  const Prepared nothing = test::prepare(with(two_pods, {{"chips", {{{"at", at}, {"compute", 1}}}}}));
  CHECK(nothing.scenario.machine.overrides.empty());
}

TEST_CASE("jitter: the slowest of n is slower by the scale times the n-th harmonic number")
{
  // E[max of n exponential draws of mean 1] = 1 + 1/2 + ... + 1/n; the mean over 300 seeds has a deviation of
  // pi / sqrt(6 x 300) = 0.074.
  constexpr int seeds = 300;
  for (const auto& [slice, n] : {std::pair("1x1x1", 1), std::pair("4x4x1", 16), std::pair("4x4x4", 64)}) {
    SmallScenario s{.slice = slice, .batch = 256, .mesh = {{"data", {"x", "y", "z"}}}};
    double harmonic = 0;
    double sum      = 0;
    for (int i = 1; i <= n; ++i)
      harmonic += 1.0 / i;
    for (int seed = 0; seed < seeds; ++seed) {
      const Prepared prepared = test::prepare(with(s, {{"jitter", {{"seed", seed}, {"scale", 0.01}}}}));
      REQUIRE(prepared.scenario.machine.overrides.devices.size() == static_cast<std::size_t>(n));
      sum += (1 / prepared.scenario.machine.overrides.slowest() - 1) / 0.01 / seeds;
    }
    CHECK(sum == Approx(harmonic).margin(0.25));
  }
}

TEST_CASE("faults that cannot be are answered with their place")
{
  const auto refused = [](const json& value) -> std::string {
    try {
      test::prepare(with(two_pods, value));
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  };
  const json at = {{"pod", 1}, {"x", 3}, {"y", 1}, {"z", 0}};
  CHECK_THAT(refused({{"chips", {{{"at", at}, {"compte", 0.5}}}}}), Catch::Contains("did you mean \"compute\""));
  CHECK_THAT(refused({{"chips", {{{"at", {{"pod", 2}}}, {"compute", 0.5}}}}}), Catch::Contains("faults.chips[0].at"));
  CHECK_THAT(refused({{"links", {{{"at", at}, {"axis", "x"}}}}}), Catch::Contains("\"dead\": true"));
  const json one   = {{"at", at}, {"axis", "x"}, {"dead", true}};
  json other       = one;
  other["at"]["x"] = 1;
  CHECK_THAT(refused({{"links", {one, other}}}), Catch::Contains("second one on its ring"));
  CHECK_THAT(refused({{"links", {one, other}}, {"dead_links", "spare cube"}}), Catch::Equals(""));
  SmallScenario twisted{.slice = "4x4x8", .batch = 128};
  twisted.changes = {"machine.twisted=true"};
  CHECK(test::prepare(twisted).scenario.machine.lattice.twisted);
  twisted = with(twisted, {{"links", {{{"at", 0}, {"axis", "z"}, {"dead", true}}}}});
  CHECK_THROWS_WITH(test::prepare(twisted), Catch::Contains("is one of a twisted torus"));
}

TEST_CASE("on TPU v3, a fault is of a chip with both its cores or of one core, and says which")
{
  const json value{{"chips",
                    {{{"at", {{"x", 1}, {"y", 2}}}, {"compute", 0.5}},
                     {{"at", {{"core", 1}, {"x", 3}, {"y", 2}}}, {"compute", 0.5}}}},
                   {"hosts", {{{"at", {{"x", 0}, {"y", 0}}}, {"nic", 0.5}}}}};
  const std::string file  = PODSIM_SOURCE_DIR "/scenarios/training/tpu-v3/lingvo-128b-8x8.json";
  const Scenario scenario = read_scenario(resolve(file, {faults(value)}, Catalogue(PODSIM_SOURCE_DIR)));
  REQUIRE(scenario.faults.size() == 3);
  CHECK(scenario.faults[0].name == "chip x 1, y 2");
  CHECK(scenario.faults[0].effect.devices.size() == 2);
  CHECK(scenario.faults[1].name == "core 1, x 3, y 2");
  CHECK(scenario.faults[1].effect.devices.size() == 1);
  CHECK(scenario.faults[2].name == "host of x 0, y 0");
}
