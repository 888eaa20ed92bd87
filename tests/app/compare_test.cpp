// `podsim compare` as a user meets it.

#include "tests/support/published_scenario.hpp"

#include <catch2/catch.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("compare: scenarios side by side, as each would run alone")
{
  const Sandbox sandbox;
  sandbox.write("a.json", scenario({published_figure("A")}));
  sandbox.write("b.json", scenario({}, {{"workload", {{"batch", 256}}}}));
  const Outcome text = sandbox.call({"compare", "a.json", "b.json"});
  CHECK(text.code == done);
  CHECK(text.err.empty());
  CHECK_THAT(text.out, Catch::Contains("[46.2 %]") && Catch::Contains("tokens/s a chip") &&
                           Catch::Contains("matrix unit") && Catch::Contains("memory a chip") &&
                           Catch::Contains("energy a token"));
  const Outcome one = sandbox.call({"compare", "a.json", "b.json", "--json", "-", "--workers", "1"});
  CHECK(one.out == sandbox.call({"compare", "a.json", "b.json", "--json", "-", "--workers", "2"}).out);
  const json both  = json::parse(one.out);
  const json alone = run_json(sandbox.path("b.json"));
  REQUIRE(both["scenarios"].size() == 2);
  CHECK(both["scenarios"][1]["label"] == "b");
  CHECK(both["scenarios"][1]["step_time_s"] == alone["step_time_s"]);
  CHECK(both["scenarios"][1]["mfu"] == Approx(alone["mfu"].get<double>()));
  CHECK(both["scenarios"][1]["breakdown_s"] == alone["breakdown_s"]);
  CHECK(both["scenarios"][1]["memory_per_chip_bytes"] == alone["memory_per_chip_bytes"]);
  CHECK(both["scenarios"][0]["published"][0]["value"] == Approx(46.2));
  const json same =
      json::parse(sandbox.call({"compare", "a.json", "b.json", "--set", "workload.batch=256", "--json", "-"}).out);
  CHECK(same["scenarios"][0]["step_time_s"] == same["scenarios"][1]["step_time_s"]);
  const std::string csv = sandbox.call({"compare", "a.json", "b.json", "--csv", "-"}).out;
  CHECK(csv.starts_with("metric,a,b\nstatus,ok,ok\nchips,"));

  Words many{"compare"};
  for (int i = 0; i < 7; ++i)
    many.emplace_back(i % 2 == 0 ? "a.json" : "b.json");
  const Outcome wrapped = sandbox.call(many);
  CHECK_THAT(wrapped.out, Catch::Contains("a (4)"));
  std::istringstream lines(wrapped.out);
  int heads = 0;
  for (std::string line; std::getline(lines, line);) {
    heads += line.find("  MFU ") == 0 ? 1 : 0;
    if (line.find(": ") == std::string::npos)
      CHECK(line.size() <= 120);
  }
  CHECK(heads == 2);

  check_error(sandbox.call({"compare", "a.json"}), bad_input, {"two or more"});
  check_error(sandbox.call({"compare", "a.json", "c.json"}), bad_input, {"c.json: there is no such file"});
  check_error(sandbox.call({"compare", "a.json", "b.json", "--set", "workload.bach=1"}), bad_input, {"batch"});
  sandbox.write("big.json", scenario({}, {{"machine", {{"chip", {{"base", "tpu-v4"}, {"hbm_capacity", "1 GiB"}}}}}}));
  const Outcome partly = sandbox.call({"compare", "a.json", "big.json"});
  CHECK(partly.code == cannot_run);
  CHECK_THAT(partly.out, Catch::Contains("cannot run (memory)") && Catch::Contains("matrix unit"));
  CHECK_THAT(partly.err, Catch::Contains("big.json: needs"));
}

TEST_CASE("compare: a micro-benchmark has none of the figures of a training step")
{
  const Sandbox sandbox; // chips whose power is known would have energy for no token
  const Outcome outcome = sandbox.call(
      {"compare", "micro-benchmarks/v4-all-to-all-4x4x8", "micro-benchmarks/v4-all-to-all-4x8x8", "--json", "-"});
  REQUIRE(outcome.code == done);
  const json column = json::parse(outcome.out)["scenarios"][0];
  CHECK(column["step_time_s"] > 0);
  for (const char* name : {"tokens_per_s", "mfu", "energy_per_token_j"})
    CHECK_FALSE(column.contains(name));
}

TEST_CASE("compare: a study prints its question and its answers")
{
  const Sandbox sandbox;
  sandbox.write("a.json", scenario({published_figure("A")}));
  const json study{{"schema_version", 1},
                   {"name", "Batches"},
                   {"question", "Is a larger batch faster?"},
                   {"compare",
                    {{{"scenario", "../a.json"}, {"label", "small"}, {"set", {{"workload.batch", 256}}}},
                     {{"scenario", "../a.json"}, {"label", "large"}}}},
                   {"ratios",
                    {{{"metric", "tokens_per_s"}, {"of", "large"}, {"over", "small"}, {"says", "By a factor of {}."}},
                     {{"metric", "mfu"}, {"of", "small"}, {"over", "large"}}}}};
  sandbox.write("studies/s.json", study);
  const Outcome text = sandbox.call({"compare", "studies/s.json"});
  CHECK(text.code == done);
  CHECK_THAT(text.out, Catch::Contains("Is a larger batch faster?") && Catch::Contains("By a factor of 1.") &&
                           Catch::Contains("mfu: small over large is 0."));
  const json result = json::parse(sandbox.call({"compare", "studies/s.json", "--json", "-"}).out);
  CHECK(result["ratios"][0]["value"] == Approx(result["scenarios"][1]["tokens_per_s"].get<double>() /
                                               result["scenarios"][0]["tokens_per_s"].get<double>()));
  CHECK(result["scenarios"][0]["published"].empty()); // it is not what they were published for
  CHECK(result["scenarios"][1]["published"].size() == 1);

  const auto told = [&](const json& patch) {
    json spoilt = study;
    spoilt.merge_patch(patch);
    sandbox.write("studies/s.json", spoilt);
    return sandbox.call({"compare", "studies/s.json"});
  };
  check_error(told({{"questoin", "?"}}), bad_input, {"unknown key \"questoin\"", "did you mean \"question\"?"});
  check_error(told({{"ratios", {{{"metric", "mfuu"}, {"of", "large"}, {"over", "small"}}}}}), bad_input, {"mfu"});
  check_error(told({{"ratios", {{{"metric", "mfu"}, {"of", "largest"}, {"over", "small"}}}}}), bad_input,
              {"did you mean \"large\"?"});
  check_error(told({{"compare", json::array()}}), bad_input, {"names no scenario"});
  check_error(told({{"ratios", nullptr}, {"compare", {{{"scenario", "b.json"}}}}}), bad_input,
              {"there is no such file"});
  check_error(sandbox.call({"compare", "a.json", "studies/s.json"}), bad_input, {"is a study"});
}
