// Scenarios, studies and their parts by name, from wherever podsim is called; and what is misspelt.

#include "sim/core/errors.hpp"
#include "tests/support/own_files.hpp"
#include "tests/support/palm.hpp"
#include "tests/support/prepared.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("names: two scenarios of one file name are two, and a whole path below scenarios is a name as well")
{
  const auto file = [](const std::string& name) { return catalogue().find(Shelf::scenarios, name); };
  CHECK(file("palm-62b") == source + "/scenarios/training/palm-62b.json");
  CHECK(file("a100/palm-62b") == source + "/scenarios/training/a100/palm-62b.json");
  CHECK(file("training/a100/palm-62b") == file("a100/palm-62b"));
  CHECK(file("faults/palm-540b-straggler") == source + "/scenarios/faults/palm-540b-straggler.json");
  CHECK(catalogue().find(Shelf::studies, "palm-pods") == source + "/scenarios/studies/palm-pods.json");
  CHECK_THROWS_AS(file("shardings/fsdp"), InputError); // a part of scenarios
  CHECK_THROWS_AS(file("palm-pods"), InputError);      // a study
  for (const std::string& name : catalogue().short_names(Shelf::scenarios)) {
    INFO(name);
    CHECK(fs::exists(file(name)));
  }
}

TEST_CASE("names: every command takes them, in any folder, and list prints what can be typed")
{
  const Sandbox box;
  const json full = result_of(box.call({"run", source + "/scenarios/training/palm-8b.json", "--json", "-"}));
  CHECK(result_of(box.call({"run", "palm-8b", "--json", "-"})) == full);
  CHECK_THAT(box.call({"show", "palm-8b"}).out, Catch::StartsWith("PaLM 8B"));
  CHECK(box.call({"validate", "palm-8b", "h100/mpt-13b-16"}).code == done);
  const json both = result_of(box.call({"compare", "palm-62b", "a100/palm-62b", "--json", "-"}));
  CHECK(both["scenarios"][0]["label"] == "palm-62b");
  CHECK(both["scenarios"][1]["label"] == "a100/palm-62b");
  CHECK_THAT(box.call({"compare", "palm-pods"}).out, Catch::Contains("Two pods do the work of"));

  box.write("mine.json", {{"base", "palm-8b"}, {"name", "mine"}, {"workload", {{"batch", 256}}}});
  CHECK(result_of(box.call({"run", "mine", "--json", "-"}))["tokens_per_step"] == 256 * 2048); // .json need not be said
  box.write("pair.json", {{"schema_version", 1}, {"name", "pair"}, {"compare", {"palm-8b", {{"scenario", "mine"}}}}});
  CHECK(result_of(box.call({"compare", "pair", "--json", "-"}))["scenarios"].size() == 2);
  box.write("study.json", {{"schema_version", 1},
                           {"name", "s"},
                           {"scenario", "palm-8b"},
                           {"axes",
                            {{{"name", "which"}, {"cases", {{{"label", "a"}}, {{"label", "b"}, {"scenario", "mine"}}}}},
                             {{"path", "workload.sequence"}, {"values", {2048}}}}},
                           {"metrics", {"mfu"}}});
  const Outcome swept = box.call({"sweep", "study", "--quiet", "--csv", "-"});
  CHECK(swept.code == done);
  CHECK(std::count(swept.out.begin(), swept.out.end(), '\n') == 3);
  CHECK(box.call({"sweep", "palm-meshes", "--quiet"}).code == done);
  CHECK(fs::exists(box.path("palm-meshes.sqlite")));
  box.write("gate.json", {{"schema_version", 1}, {"scenarios", {"palm-8b", {{"scenario", "mine"}}}}});
  CHECK(box.call({"check", "gate.json", "--update"}).code == done);
  CHECK(box.call({"check", "gate.json"}).out == "  gate.json: 2 unchanged\n");
  CHECK(json::parse(read_text(box.path("gate.json")))["scenarios"][0]["scenario"] == "palm-8b");

  std::istringstream listed(call({"list", "scenarios"}).out);
  int count = 0;
  for (std::string line; std::getline(listed, line); ++count)
    if (count % 20 == 0)
      CHECK(box.call({"show", line.substr(0, line.find(' '))}).code == done);
  CHECK(count > 100);
  CHECK_THAT(call({"list", "studies"}).out, Catch::Contains("palm-pods-and-batch  "));
}

TEST_CASE("names: a file here comes first, but is not its own base")
{
  const Sandbox box;
  box.write("palm-8b.json", scenario({{"workload", {{"batch", 128}}}}));
  CHECK(result_of(box.call({"run", "palm-8b", "--json", "-"}))["tokens_per_step"] == 128 * 2048);
  box.write("palm-8b", scenario({{"workload", {{"batch", 64}}}})); // to the letter
  CHECK(result_of(box.call({"run", "palm-8b", "--json", "-"}))["tokens_per_step"] == 64 * 2048);
  box.write("deep/palm-8b.json", {{"base", "palm-8b"}, {"name", "over the catalogue's"}});
  CHECK(result_of(box.call({"run", "deep/palm-8b.json", "--json", "-"}))["tokens_per_step"] == 512 * 2048);
  box.write("deep/other.json", {{"base", "../palm-8b.json"}, {"name", "over a file"}});
  CHECK(result_of(box.call({"run", "deep/other", "--json", "-"}))["tokens_per_step"] == 128 * 2048);
  fs::create_directories(box.path("palm-62b")); // a folder is no scenario
  CHECK(box.call({"show", "palm-62b"}).code == done);
}

TEST_CASE("names: misspelt ones, and files of the catalogue where there is no checkout")
{
  const Sandbox box;
  const auto told = [&](const Words& words, const std::string& hint) {
    check_error(box.call(words), bad_input, {words[1] + ": there is no such", "; did you mean \"" + hint + "\"?"});
  };
  told({"run", "palm-54b"}, "palm-540b");
  told({"show", "a10/palm-62b"}, "a100/palm-62b");
  told({"show", "gopher-280b"}, "tpu-v3/gopher-280b");
  told({"run", "scenarios/training/palm-540b.json"}, "palm-540b");
  told({"run", "scenarios/faults/palm-540b-jitter.json"}, "faults/palm-540b-jitter");
  told({"sweep", "palm-mesh"}, "palm-meshes");
  told({"sweep", "scenarios/studies/palm-meshes.json"}, "palm-meshes");
  told({"validate", "palm-8c"}, "palm-8b");
  told({"compare", "palm-8c", "palm-62b"}, "palm-8b");
  box.write("mine.json", {{"base", "palm-54b"}, {"name", "x"}});
  check_error(box.call({"run", "mine"}), bad_input,
              {"mine.json: base: palm-54b: there is no such scenario", "\"palm-540b\""});
  told({"run", "min.json"}, "mine.json");
  check_error(box.call({"run", "nothing-like-it-at-all"}), bad_input,
              {"nothing-like-it-at-all: there is no such scenario"});
  box.write("study.json", {{"schema_version", 1},
                           {"name", "s"},
                           {"scenario", "palm-8c"},
                           {"axes", {{{"path", "workload.batch"}, {"values", {512}}}}},
                           {"metrics", {"mfu"}}});
  check_error(box.call({"sweep", "study"}), bad_input,
              {"study.json: palm-8c: there is no such scenario", "\"palm-8b\""});
}

TEST_CASE("bad input: names of parts")
{
  check_wrong({{{{"model", "palm-540"}},
                {"s.json: model: there is no model \"palm-540\"", "did you mean \"palm-540b\"?", "palm-8b"}},
               {{{"model", "quite another thing"}}, {"s.json: model: there is no model", "known: "}},
               {{{"model", ""}}, {"s.json: model: there is no model \"\""}},
               {{{"model", "../models/palm-540b"}}, {"there is no model"}},
               {{{"model", {{"base", "palm-54b"}}}},
                {"s.json: model.base: there is no model \"palm-54b\"", "did you mean \"palm-540b\"?"}},
               {{{"machine", {{"base", "tpu-4"}}}},
                {"s.json: machine.base: there is no machine \"tpu-4\"", "did you mean \"tpu-v4\"?"}},
               {{{"machine", {{"chip", "tpuv4"}}}},
                {"s.json: machine.chip: there is no chip \"tpuv4\"", "did you mean \"tpu-v4\"?"}},
               {{{"sharding", "gspmd2d"}},
                {"s.json: sharding: there is no sharding \"gspmd2d\"", "did you mean \"gspmd-2d\"?"}},
               {{{"software", "xla-tpu-2022"}},
                {"s.json: software: there is no software \"xla-tpu-2022\"", "did you mean \"xla-tpu-202"}},
               {{{"workload", {{"remat", "ful"}}}},
                {"s.json: workload.remat: there is no remat \"ful\"", "did you mean \"full\"?"}},
               {{{"workload", {{"optimizer", "adamv"}}}},
                {"s.json: workload.optimizer", "found \"adamv\"", "did you mean \"adamw\"?"}},
               {{{"model", "none.json"}}, {"s.json: model: there is no file \"none.json\""}},
               {{{"machine", {{"chip", {{"base", "../none.json"}}}}}},
                {"s.json: machine.chip.base: there is no file \"../none.json\""}}},
              palm());
}
