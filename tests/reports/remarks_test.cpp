// Figures that a reader would misread without a word beside them.

#include "reports/json.hpp"
#include "reports/remarks.hpp"
#include "reports/text.hpp"
#include "tests/support/prepared.hpp"
#include "tests/support/sandbox.hpp"

#include <catch2/catch.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("an MFU over 100 % says what makes it so, and what is dropped is in every report")
{
  const Evaluation result = evaluate(prepared(mixtral(8, {{"capacity_factor", 0.05}})), {});
  CHECK(result.metrics->mfu > 1);
  CHECK(result.metrics->hfu < 1);
  const std::string text = to_text(result, Style(false)).text();
  CHECK_THAT(text, Catch::Contains("97.5 % of the choices of experts are dropped"));
  CHECK_THAT(text, Catch::Contains("MFU is over 100 % because PaLM's convention counts"));
  CHECK_THAT(text, Catch::Contains("the choices that experts drop"));
  const json written = json::parse(to_json(result));
  CHECK(written.at("experts").at("dropped_choices") == Approx(1 - 26 * 8 / 8192.0));
  CHECK(written.at("remarks").size() == 2);
  CHECK(written.at("mfu").get<double>() > 1);

  const Evaluation whole = evaluate(prepared(mixtral(8, {{"capacity", "dropless"}})), {});
  CHECK(whole.metrics->mfu < 1);
  CHECK_THAT(to_text(whole, Style(false)).text(), Catch::Contains("no choice is dropped"));
  CHECK(json::parse(to_json(whole)).at("experts").at("dropped_choices") == 0);
  CHECK(remarks(whole).empty());
}

TEST_CASE("efficiencies that hold for another chip are said")
{
  const auto of            = [](const Prepared& p) { return describe(p); };
  const Evaluation foreign = of(prepared(llama(8192, "none", "torchtitan-2024")));
  REQUIRE(foreign.foreign.size() == 2);
  CHECK(foreign.foreign[0].path == "software.attention.forward_efficiency");
  CHECK(foreign.foreign[0].chip == "A100");
  REQUIRE(remarks(foreign).size() == 1);
  CHECK(remarks(foreign)[0] == "software.attention.forward_efficiency, software.attention.backward_efficiency hold for "
                               "A100 and not for H100 SXM 80 GB, libraries of 2025");
  CHECK_THAT(to_text(foreign, Style(false)).text(), Catch::Contains("remark") && Catch::Contains("hold for A100"));
  const json written = json::parse(to_json(foreign)).at("constants_of_other_chips");
  CHECK(written == json{{{"path", "software.attention.forward_efficiency"}, {"chip", "A100"}},
                        {{"path", "software.attention.backward_efficiency"}, {"chip", "A100"}}});

  CHECK(of(prepared(llama(8192, "none"))).foreign.empty());
  CHECK(json::parse(to_json(of(prepared(llama(8192, "none"))))).at("constants_of_other_chips").empty());
  CHECK(of(catalogued("training/a100/titan2024-llama2-13b-noac")).foreign.empty());
  CHECK(of(catalogued("training/tpu-v5e/maxtext-32b-v5e-1x256")).foreign.empty()); // one of several
  CHECK(of(catalogued("training/palm-8b", {"software=xla-tpu-2024"})).foreign.size() == 2);
  // Who gives a value of his own says nothing of the chip of the one that was there.
  const Prepared own =
      catalogued("training/palm-8b", {"software=xla-tpu-2024", "software.attention.forward_efficiency=0.3"});
  CHECK(of(own).foreign.size() == 1);
}

TEST_CASE("tables mark the rows that need a remark")
{
  const Sandbox folder;
  folder.write("foreign.json", [] {
    json scenario         = llama(8192, "none", "torchtitan-2024");
    scenario["published"] = {{{"id", "OWN"},
                              {"metric", "step_time"},
                              {"value", 1},
                              {"unit", "s"},
                              {"convention", "none"},
                              {"statistic", "average"},
                              {"calibration", false},
                              {"source", "own"}}};
    return scenario;
  }());
  folder.write("own.json", llama(8192, "none"));
  folder.write("drops.json", mixtral(8, {{"capacity", 0.5}}));
  folder.write("study.json", {{"schema_version", 1},
                              {"name", "a study"},
                              {"scenario", "own.json"},
                              {"axes", {{{"path", "software"}, {"values", {"nemo-2025", "torchtitan-2024"}}}}},
                              {"metrics", {"mfu"}}});

  const Outcome validated = folder.call({"validate", "foreign.json", "--csv", "validated.csv"});
  CHECK(validated.code == done);
  CHECK_THAT(validated.out, Catch::Contains("! 1 row: software.attention.forward_efficiency"));
  CHECK_THAT(read_text(folder.path("validated.csv")),
             Catch::Contains(",remarks\n") && Catch::Contains("hold for A100"));

  const Outcome compared =
      folder.call({"compare", "own.json", "drops.json", "foreign.json", "--csv", "compared.csv", "--json", "compared"});
  CHECK(compared.code == done);
  CHECK_THAT(compared.out, Catch::Contains("    ! 50.0 % of the choices") && Catch::Contains("choices dropped") &&
                               Catch::Contains("hold for A100"));
  const json columns = json::parse(read_text(folder.path("compared"))).at("scenarios");
  CHECK(columns[0].at("remarks").empty());
  CHECK(columns[1].at("dropped_choices") == Approx(0.5));
  CHECK(columns[2].at("remarks").size() == 1);
  CHECK_THAT(read_text(folder.path("compared.csv")), Catch::Contains("dropped_choices,,0.5,\n"));

  const Outcome swept = folder.call({"sweep", "study.json", "--csv", "swept.csv", "--json", "swept"});
  CHECK(swept.code == done);
  CHECK_THAT(swept.out, Catch::Contains("! 1 row: software.attention.forward_efficiency"));
  const std::string rows = read_text(folder.path("swept.csv"));
  CHECK_THAT(rows,
             Catch::StartsWith("number,software,status,reason,mfu,remarks\n") && Catch::Contains("hold for A100"));
  CHECK_THAT(read_text(folder.path("swept")), Catch::Contains("\"remarks\":\"software.attention"));
}
