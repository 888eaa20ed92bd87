// Scenarios and studies by name, from wherever podsim is called; what is misspelt; numbers as people write them.

#include "scenarios/catalogue.hpp"
#include "scenarios/scenario_files.hpp"
#include "sim/app/options.hpp"
#include "sim/core/errors.hpp"
#include "tests/support/sandbox.hpp"

#include <fmt/format.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

const Catalogue& catalogue()
{
  static const Catalogue all(source);
  return all;
}

json small(const json& patch = json::object())
{
  json made = json::parse(read_text(source + "/scenarios/training/palm-8b.json"));
  made.merge_patch(patch);
  return made;
}

json result_of(const Outcome& outcome)
{
  INFO(outcome.err);
  REQUIRE(outcome.code == done);
  return json::parse(outcome.out);
}

} // namespace

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
  box.write("palm-8b.json", small({{"workload", {{"batch", 128}}}}));
  CHECK(result_of(box.call({"run", "palm-8b", "--json", "-"}))["tokens_per_step"] == 128 * 2048);
  box.write("palm-8b", small({{"workload", {{"batch", 64}}}})); // to the letter
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

TEST_CASE("help and version are commands as well")
{
  CHECK(call({"version"}).out == call({"--version"}).out);
  CHECK(call({"help"}).out == call({}).out);
  CHECK(call({"help", "run"}).out == call({"run", "--help"}).out);
  CHECK(call({"help", "help"}).out == call({}).out);
  for (const Words& words : {Words{"version"}, {"help"}, {"help", "sweep"}, {"help", "version"}})
    CHECK(call(words).code == done);
  check_error(call({"help", "rnu"}), bad_input, {"no command \"rnu\"", "did you mean \"run\"?"});
  check_error(call({"hlep"}), bad_input, {"did you mean \"help\"?"});
  check_error(call({"versoin"}), bad_input, {"did you mean \"version\"?"});
}

TEST_CASE("numbers of options are decimal, whatever zeros lead")
{
  const auto parsed = [](const std::string& text) -> std::string {
    CLI::App app;
    FleetChoice choice;
    add_fleet(app, choice, "heap");
    const std::vector<std::string> words{"--workers", text};
    try {
      app.parse(std::vector<std::string>{words.rbegin(), words.rend()});
    } catch (const CLI::ParseError& wrong) {
      return wrong.what();
    }
    return fmt::format("{}", choice.workers);
  };
  CHECK(parsed("8") == "8");
  CHECK(parsed("08") == "8");
  CHECK(parsed("0010") == "10");
  for (const char* wrong : {"02000", "0x10", "0", "-1", "1e3", "2.5", "", "1025", "99999999999999999999", "ten", "8 "})
    CHECK_THAT(parsed(wrong),
               Catch::Contains(fmt::format("expected a whole number from 1 to 1024, found \"{}\"", wrong)));
  const Words validate{"validate", "--filter", "PALM-540B-HFU", "--quiet"};
  const auto timed = [&](const std::string& text) {
    Words words = validate;
    words.insert(words.end(), {"--timeout", text});
    return call(words);
  };
  CHECK(timed("0100").code == done); // 100 s, not 64
  CHECK(timed("1e3").code == done);
  for (const char* wrong : {"0x10", "nan", "inf", "0", "-5", "soon"})
    check_error(timed(wrong), bad_input, {"--timeout", "expected a number from 0.001", wrong});
}

TEST_CASE("what is a scenario among the files of a folder")
{
  const auto is = [](const json& file) { return is_scenario(file, source + "/mine.json", catalogue()); };
  CHECK(is(small()));
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

TEST_CASE("published figures stay where only names and notes change")
{
  const auto figures = [](const std::string& change) {
    return result_of(call({"run", "palm-540b", "--json", "-", "--set", change})).at("published").size();
  };
  const std::size_t all = figures("software.note=x");
  CHECK(all == 9);
  for (const char* change :
       {"note=x", "name=mine", "workload.note=x", "model.name=mine", "machine.name=ours", "model.note=x"})
    CHECK(figures(change) == all);
  CHECK(figures("workload.sequence=1024") == 0);
}
