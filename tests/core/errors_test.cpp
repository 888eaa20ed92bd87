// What is said beside a mistake: the nearest name, and how many more there are.

#include "sim/core/errors.hpp"
#include "tests/support/first_scenario.hpp"
#include "tests/support/palm.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("hints: the nearest name, and none where half of the word is another")
{
  CHECK(did_you_mean("serve", {"merge", "sweep", "results"}).empty());
  CHECK(did_you_mean("tpu-v5", {"tpu-v2", "tpu-v4", "tpu-v5e", "tpu-v5p"}) ==
        "; did you mean \"tpu-v5e\" or \"tpu-v5p\"?");
  CHECK(did_you_mean("shwo", {"run", "show"}) ==
        "; did you mean \"show\"?"); // two letters in the wrong order: one slip
  CHECK(did_you_mean("worklaod", {"workload"}) == "; did you mean \"workload\"?");
  CHECK(did_you_mean("lingvo", {"mpt-7b", "lingvo-128b-8x8"}) ==
        "; did you mean \"lingvo-128b-8x8\"?"); // its beginning
  CHECK(did_you_mean("abc", {"abd", "abcd"}) == "; did you mean \"abcd\"?");
  CHECK(did_you_mean("", {"a"}).empty());
  const Outcome served = call({"serve"});
  check_error(served, bad_input, {"there is no command \"serve\""});
  CHECK_THAT(served.err, !Catch::Contains("did you mean"));
}

TEST_CASE("twenty mistakes of a file are told, and how many more there are")
{
  json figures = json::array();
  for (int i = 0; i < 23; ++i)
    figures.push_back(json::parse(read_text(palm_file))["published"][0]);
  for (json& figure : figures)
    figure["convention"] = "of my own";
  const Outcome outcome = show(first_scenario({{"published", figures}}));
  CHECK(outcome.code == bad_input);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 21);
  CHECK_THAT(outcome.err, Catch::EndsWith("podsim: and 3 more mistakes\n"));
}
