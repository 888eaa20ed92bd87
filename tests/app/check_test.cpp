// `podsim check` as a user and a CI system meet it.

#include "tests/support/gate_rows.hpp"
#include "tests/support/published_figure.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

constexpr int moved = 1;

json scenario(const json& patch = json::object())
{
  json made         = json::parse(read_text(source + "/scenarios/training/palm-8b.json"));
  made["published"] = json::array({published_figure("X")});
  made.merge_patch(patch);
  return made;
}

// Outside of any CI system, whatever runs these tests.
Outcome call_in(const Sandbox& sandbox, const Words& arguments, std::map<std::string, std::string> environment = {},
                const std::string& program = PODSIM_PROGRAM)
{
  environment.insert({{"GITHUB_ACTIONS", ""}, {"GITHUB_STEP_SUMMARY", ""}, {"GITHUB_WORKSPACE", ""}});
  return run_program(program, arguments, {.environment = environment, .directory = sandbox.path("")});
}

Outcome check_in(const Sandbox& sandbox, const Words& more = {},
                 const std::map<std::string, std::string>& environment = {})
{
  Words arguments{"check", "b.json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return call_in(sandbox, arguments, environment);
}

json baseline_of(const Sandbox& sandbox)
{
  return json::parse(read_text(sandbox.path("b.json")));
}

// A baseline of a.json and big.json, filled in.
void fill(const Sandbox& sandbox, const json& more = json::object())
{
  sandbox.write("a.json", scenario());
  sandbox.write("big.json", scenario({{"workload", {{"batch", 256}}}}));
  json start{{"schema_version", 1}, {"scenarios", {"a.json", "big.json"}}};
  start.update(more);
  sandbox.write("b.json", start);
  REQUIRE(check_in(sandbox, {"--update"}).code == done);
}

// What the baseline keeps of a.json, as if another program had measured it.
void scale(const Sandbox& sandbox, const std::string& metric, double factor)
{
  json baseline = baseline_of(sandbox);
  json& value   = baseline["scenarios"][0]["results"]["metrics"][metric];
  value         = value.get<double>() * factor;
  sandbox.write("b.json", baseline);
}

} // namespace

TEST_CASE("check: nothing moved, and --update writes the same bytes again")
{
  const Sandbox sandbox;
  fill(sandbox, {{"note", "ours"}, {"warn", {{"mfu", 1e-12}}}});
  const std::string kept = read_text(sandbox.path("b.json"));
  const Outcome outcome  = check_in(sandbox);
  CHECK(outcome.code == done);
  CHECK(outcome.err.empty());
  CHECK(outcome.out == "  b.json: 2 unchanged\n");
  CHECK(check_in(sandbox, {"--workers", "1"}).out == outcome.out);
  CHECK(check_in(sandbox, {"--update"}).code == done);
  CHECK(read_text(sandbox.path("b.json")) == kept);
  CHECK(check_in(sandbox, {"--update", "--filter", "big"}).code == done);
  CHECK(read_text(sandbox.path("b.json")) == kept);

  const json baseline = json::parse(kept);
  CHECK(baseline["note"] == "ours");
  CHECK(baseline["scenarios"][1]["results"]["scenario"]["workload.batch"] == "256");
  CHECK(baseline["catalogue"]["topologies/chips/tpu-v4.json"].contains("machine.chip.hbm_bandwidth"));
  const json run = json::parse(call({"run", sandbox.path("a.json"), "--json", "-"}).out);
  CHECK(baseline["scenarios"][0]["results"]["metrics"]["mfu"] == run["mfu"]);
  CHECK(baseline["scenarios"][0]["results"]["breakdown_s"] == run["breakdown_s"]);
  CHECK(baseline["scenarios"][0]["results"]["hash"] == run["scenario"]["hash"]);
  CHECK(check_in(sandbox, {"--quiet"}).out.empty());
}

TEST_CASE("check: a changed scenario is said to be what changed, and in which value")
{
  const Sandbox sandbox;
  fill(sandbox);
  sandbox.write("a.json", scenario({{"workload", {{"batch", 256}}}}));
  const Outcome outcome = check_in(sandbox);
  check_error(outcome, moved, {"1 moved, 1 unchanged", "podsim check b.json --update"});
  CHECK_THAT(outcome.out, Catch::Contains("a.json  moved") && Catch::Contains("step_time_s: ") &&
                              Catch::Contains("better (allowed 1e-09)") && Catch::Contains("in the breakdown: ") &&
                              Catch::Contains("because the scenario changed: workload.batch 512 -> 256") &&
                              !Catch::Contains("only the program") && !Catch::Contains("big.json"));
  const Outcome update = check_in(sandbox, {"--update"});
  CHECK(update.code == done);
  CHECK_THAT(update.out, Catch::Contains("a.json  moved") && Catch::Contains("accepted"));
  CHECK(check_in(sandbox).code == done);

  // Another file of the catalogue: all that differs is the scenario's doing.
  sandbox.write("a.json", scenario({{"workload", {{"batch", 256}}}, {"software", "xla-tpu-2023"}}));
  const Outcome software = check_in(sandbox);
  CHECK(software.code == moved);
  CHECK_THAT(software.out,
             Catch::Contains("because the scenario changed: it reads scenarios/software/xla-tpu-2023.json") &&
                 !Catch::Contains("the catalogue changed"));

  // A value that the scenario takes from the catalogue, and then in its own hands.
  sandbox.write("a.json", scenario({{"workload", {{"batch", 256}}},
                                    {"machine", {{"chip", {{"base", "tpu-v4"}, {"hbm_bandwidth", "600 GB/s"}}}}}}));
  CHECK_THAT(check_in(sandbox).out,
             Catch::Contains("because the scenario changed: machine.chip.hbm_bandwidth 1200 GB/s -> 600 GB/s") &&
                 Catch::Contains("worse"));

  // The same numbers from another scenario: a warning. Other texts: nothing.
  sandbox.write("a.json", scenario({{"workload", {{"batch", 256}}}, {"name", "renamed"}}));
  CHECK(check_in(sandbox).out == "  b.json: 2 unchanged\n");
  sandbox.write("a.json", scenario({{"workload", {{"batch", 256}}},
                                    {"machine", {{"chip", {{"base", "tpu-v4"}, {"hbm_capacity", "33 GiB"}}}}}}));
  const Outcome harmless = check_in(sandbox);
  CHECK(harmless.code == done);
  CHECK_THAT(harmless.out, Catch::Contains("a.json  unchanged, warning") && Catch::Contains("hbm_capacity") &&
                               Catch::Contains("no metric moved"));
}

TEST_CASE("check: a changed constant of the catalogue is named, with its file")
{
  const Sandbox sandbox;
  const std::string program = sandbox.path("bin/podsim");
  fs::create_directories(sandbox.path("bin"));
  fs::create_directories(sandbox.path("share/podsim"));
  fs::copy_file(PODSIM_PROGRAM, program);
  fs::copy_file(fs::path(PODSIM_PROGRAM).replace_filename("libpodsim_simgrid.so"),
                sandbox.path("bin/libpodsim_simgrid.so"));
  for (const char* folder : {"models", "topologies", "scenarios"})
    fs::copy(source + "/" + folder, sandbox.path("share/podsim/") + folder, fs::copy_options::recursive);
  sandbox.write("a.json", scenario());
  sandbox.write("own.json", scenario({{"machine", {{"chip", {{"base", "tpu-v4"}, {"hbm_efficiency", 0.5}}}}}}));
  sandbox.write("b.json", json{{"schema_version", 1}, {"scenarios", {"a.json", "own.json"}}});
  REQUIRE(call_in(sandbox, {"check", "b.json", "--update"}, {}, program).code == done);
  const std::string chip_file     = "share/podsim/topologies/chips/tpu-v4.json";
  json chip                       = json::parse(read_text(sandbox.path(chip_file)));
  const std::string before        = chip["hbm_efficiency"]["value"].dump();
  chip["hbm_efficiency"]["value"] = 0.7;
  sandbox.write(chip_file, chip);
  const Outcome outcome = call_in(sandbox, {"check", "b.json"}, {}, program);
  CHECK(outcome.code == moved);
  CHECK_THAT(outcome.out, Catch::Contains("because the catalogue changed: machine.chip.hbm_efficiency " + before +
                                          " -> 0.7 (topologies/chips/tpu-v4.json)") &&
                              !Catch::Contains("scenario changed") && Catch::Contains("1 moved, 1 unchanged"));

  // What stands once for all scenarios is not half updated.
  json other = chip;
  sandbox.write("c.json", scenario({{"workload", {{"batch", 256}}}}));
  json baseline = json::parse(read_text(sandbox.path("b.json")));
  baseline["scenarios"].push_back("c.json");
  sandbox.write("b.json", baseline);
  check_error(call_in(sandbox, {"check", "b.json", "--update", "--filter", "c.json"}, {}, program), bad_input,
              {"hbm_efficiency", "topologies/chips/tpu-v4.json", "--update all of it"});
  CHECK(call_in(sandbox, {"check", "b.json", "--update"}, {}, program).code == done);
  CHECK(call_in(sandbox, {"check", "b.json"}, {}, program).code == done);
}

TEST_CASE("check: a baseline without the program's constants blames none of them, and says so")
{
  const Sandbox sandbox;
  fill(sandbox);
  json baseline = baseline_of(sandbox);
  REQUIRE(!baseline["program"].empty());
  baseline.erase("program");
  sandbox.write("b.json", baseline);
  CHECK(check_in(sandbox).out == "  b.json: 2 unchanged\n");
  scale(sandbox, "mfu", 1.01);
  const Outcome outcome = check_in(sandbox);
  CHECK(outcome.code == moved);
  CHECK_THAT(outcome.out,
             !Catch::Contains("program.pointwise") && !Catch::Contains("a constant of the program changed:") &&
                 Catch::Contains("whether a constant of the program changed is not known: b.json has no \"program\"") &&
                 Catch::Contains("because only the program changed"));
  // A part of it would be taken for all: a filtered update leaves it out.
  CHECK(check_in(sandbox, {"--update", "--filter", "a.json"}).code == done);
  CHECK_FALSE(baseline_of(sandbox).contains("program"));
  CHECK(check_in(sandbox, {"--update"}).code == done);
  CHECK(baseline_of(sandbox).contains("program"));
}

TEST_CASE("check: only the program changed, for the worse or the better")
{
  const Sandbox sandbox;
  fill(sandbox);
  json baseline                              = baseline_of(sandbox);
  json& results                              = baseline["scenarios"][0]["results"];
  const double t                             = results["metrics"]["step_time_s"];
  const double e                             = results["breakdown_s"]["exposed_ici_data"];
  results["metrics"]["step_time_s"]          = t - t * 1e-6; // it was faster by a millionth
  results["breakdown_s"]["exposed_ici_data"] = e - t * 1e-6;
  sandbox.write("b.json", baseline);
  const Outcome slower = check_in(sandbox);
  CHECK(slower.code == moved);
  CHECK_THAT(slower.out, Catch::Contains("(+1e-06), worse (allowed 1e-09)") &&
                             Catch::Contains("breakdown_s: 1e-06 of the step went elsewhere") &&
                             Catch::Contains("in the breakdown: exposed ICI data ") &&
                             Catch::Contains(fmt::format("(+{:.3g} s)", t * 1e-6)) &&
                             Catch::Contains("because only the program changed (podsim ") &&
                             Catch::Contains("both times: another build)"));

  fill(sandbox);
  scale(sandbox, "mfu", 1 - 1e-6); // it was lower: an improvement is an error as well
  const Outcome better = check_in(sandbox);
  check_error(better, moved, {"--update"});
  CHECK_THAT(better.out, Catch::Contains("mfu: ") && Catch::Contains("better"));

  fill(sandbox);
  scale(sandbox, "mfu", 1 + 1e-10);
  CHECK(check_in(sandbox).code == done);

  fill(sandbox); // a share that comes out of a difference is rounded in its last bits
  baseline                                                 = baseline_of(sandbox);
  baseline["scenarios"][0]["results"]["metrics"]["bubble"] = 1e-16;
  baseline["scenarios"][0]["results"]["metrics"].erase("hfu");
  sandbox.write("b.json", baseline);
  const Outcome gained = check_in(sandbox);
  CHECK(gained.code == moved);
  CHECK_THAT(gained.out, Catch::Contains("hfu: is now ") && !Catch::Contains("bubble"));
}

TEST_CASE("check: tolerances and warnings, overall, of a metric, of a scenario; direction")
{
  const auto told = [](const json& rules, const json& own, const std::string& metric, double factor) {
    const Sandbox sandbox;
    sandbox.write("a.json", scenario());
    json entry{{"scenario", "a.json"}};
    entry.update(own);
    json start{{"schema_version", 1}, {"scenarios", {entry}}};
    start.update(rules);
    sandbox.write("b.json", start);
    REQUIRE(check_in(sandbox, {"--update"}).code == done);
    scale(sandbox, metric, factor);
    return check_in(sandbox);
  };
  const json none = json::object();
  CHECK(told({{"tolerance", 0.01}}, none, "mfu", 1.005).out == "  b.json: 1 unchanged\n");
  CHECK(told({{"tolerance", 0.01}}, none, "mfu", 1.05).code == moved);
  CHECK(told({{"tolerance", {{"mfu", 0.1}}}}, none, "mfu", 1.05).code == done);
  CHECK(told({{"tolerance", {{"mfu", 0.1}}}}, none, "hfu", 1.05).code == moved);
  CHECK(told({{"tolerance", {{"mfu", 0.1}, {"default", 0.2}}}}, none, "hfu", 1.05).code == done);
  CHECK(told({{"tolerance", 0.1}}, {{"tolerance", {{"mfu", 0.01}}}}, "mfu", 1.05).code == moved);
  CHECK(told({{"tolerance", {{"mfu", 0.01}}}}, {{"tolerance", 0.1}}, "mfu", 1.05).code == done);

  const Outcome warned = told({{"tolerance", 0.1}, {"warn", 0.01}}, none, "mfu", 1.05);
  CHECK(warned.code == done);
  CHECK_THAT(warned.out, Catch::Contains("a.json  unchanged, warning") && Catch::Contains("worse (warning; allowed") &&
                             Catch::Contains("1 unchanged (1 with a warning)"));
  CHECK(told({{"tolerance", 0.1}, {"warn", 0.01}}, none, "mfu", 0.95).out == "  b.json: 1 unchanged\n"); // better

  // A higher step time is worse, a higher MFU is better, and FLOPs are neither.
  CHECK_THAT(told(none, none, "step_time_s", 0.9).out, Catch::Contains("worse"));
  CHECK_THAT(told(none, none, "mfu", 0.9).out, Catch::Contains("better"));
  CHECK_THAT(told(none, none, "model_flops_per_token", 0.9).out, Catch::Contains("changed ("));
  CHECK(told({{"improvements", "accept"}}, none, "mfu", 0.9).code == done);
  CHECK(told({{"improvements", "accept"}}, none, "mfu", 1.1).code == moved);
  const Outcome better = told({{"improvements", "warning"}}, none, "mfu", 0.9);
  CHECK(better.code == done);
  CHECK_THAT(better.out, Catch::Contains("warning"));
}

TEST_CASE("check: --update writes through a link and keeps the file's permissions")
{
  const Sandbox sandbox;
  fill(sandbox);
  fs::rename(sandbox.path("b.json"), sandbox.path("kept.json"));
  fs::permissions(sandbox.path("kept.json"), fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("kept.json", sandbox.path("b.json"));
  sandbox.write("a.json", scenario({{"workload", {{"batch", 256}}}}));
  REQUIRE(check_in(sandbox, {"--update"}).code == done);
  CHECK(fs::is_symlink(sandbox.path("b.json")));
  CHECK(fs::status(sandbox.path("kept.json")).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(check_in(sandbox).code == done);
}

TEST_CASE(
    "check: of a real improvement the breakdown is no error of its own; a warning that none would reach is a slip")
{
  const Sandbox sandbox;
  fill(sandbox);
  json baseline = baseline_of(sandbox);
  sandbox.write("a.json", scenario({{"machine", {{"ici", {{"link_bandwidth", "60 GB/s"}}}}}}));
  CHECK(check_in(sandbox).code == moved);
  baseline["improvements"] = "accept";
  sandbox.write("b.json", baseline);
  const Outcome accepted = check_in(sandbox);
  CHECK(accepted.code == done);
  CHECK_THAT(accepted.out, !Catch::Contains("breakdown_s"));
  sandbox.write("a.json", scenario({{"machine", {{"ici", {{"link_bandwidth", "30 GB/s"}}}}}}));
  CHECK(check_in(sandbox).code == moved);
  baseline["warn"] = 0.0001;
  sandbox.write("b.json", baseline);
  check_error(check_in(sandbox), bad_input, {"\"warn\" of 0.0001 for step_time_s is not below its tolerance"});
}

TEST_CASE("check: missing, new, failed and impossible scenarios are rows of their own")
{
  const Sandbox sandbox;
  fill(sandbox);
  json baseline       = baseline_of(sandbox);
  baseline["folders"] = {"more"};
  sandbox.write("b.json", baseline);
  sandbox.write("more/unpublished.json", scenario({{"published", nullptr}}));
  sandbox.write("more/model.json", read_text(source + "/models/palm-8b.json"));
  const Outcome unpublished = check_in(sandbox);
  CHECK(unpublished.code == moved); // nothing of the folder is left out without a word
  CHECK(unpublished.out == "  more/unpublished.json  new\n    it is not in the baseline\n"
                           "  passed over more/model.json, which is no scenario\n  b.json: 1 new, 2 unchanged\n");
  const json told = json::parse(check_in(sandbox, {"--json", "-"}).out);
  CHECK(told["passed_over"] == "passed over more/model.json, which is no scenario");
  fs::remove(sandbox.path("more/unpublished.json"));
  fs::remove(sandbox.path("more/model.json"));
  CHECK(check_in(sandbox).out == "  b.json: 2 unchanged\n");

  sandbox.write("more/new.json", scenario());
  fs::remove(sandbox.path("big.json"));
  const Outcome outcome = check_in(sandbox);
  CHECK(outcome.code == moved);
  CHECK_THAT(outcome.out, Catch::Contains("more/new.json  new") && Catch::Contains("big.json  missing") &&
                              Catch::Contains("1 new, 1 missing, 1 unchanged"));

  sandbox.write("a.json", scenario({{"machine", {{"chip", {{"base", "tpu-v4"}, {"hbm_capacity", "1 GiB"}}}}}}));
  const Outcome full = check_in(sandbox);
  check_error(full, cannot_run, {"a.json: needs ", "(memory)"});
  CHECK_THAT(full.out, Catch::Contains("a.json  failed") && Catch::Contains("memory: needs"));
  sandbox.write("a.json", scenario({{"mesh", {{"model", {{"size", 100000}}}}}}));
  CHECK(check_in(sandbox).code == cannot_run); // the machine has fewer chips
  sandbox.write("a.json", scenario({{"workload", {{"batch", "many"}}}}));
  const Outcome wrong = check_in(sandbox, {"--update"});
  check_error(wrong, bad_input, {"a.json: workload.batch"});
  CHECK_THAT(wrong.out, Catch::Contains("input: workload.batch: expected"));

  // The update took in what is new, dropped what is missing and left what failed as it was.
  baseline = baseline_of(sandbox);
  REQUIRE(baseline["scenarios"].size() == 2);
  CHECK(baseline["scenarios"][0]["scenario"] == "a.json");
  CHECK(baseline["scenarios"][0]["results"]["scenario"]["workload.batch"] == "512");
  CHECK(baseline["scenarios"][1]["scenario"] == "more/new.json");
  sandbox.write("a.json", scenario());
  CHECK(check_in(sandbox).out == "  b.json: 2 unchanged\n");

  sandbox.write("a.json", scenario({{"faults", {{"jitter", {{"seed", 1}, {"scale", 0.01}}}}}})); // 256 classes
  const Outcome slow = check_in(sandbox, {"--timeout", "0.001", "--filter", "a.json"});
  CHECK(slow.code == cannot_run);
  CHECK_THAT(slow.out, Catch::Contains("timed out"));
  sandbox.write("more/broken.json", std::string("{"));
  CHECK(check_in(sandbox).code == bad_input);
}

TEST_CASE("check: a scenario with changes is another one")
{
  const Sandbox sandbox;
  sandbox.write("a.json", scenario());
  sandbox.write(
      "b.json",
      json{{"schema_version", 1},
           {"scenarios",
            {"a.json", {{"scenario", "a.json"}, {"set", {{"workload.batch", 256}, {"software", "xla-tpu-2023"}}}}}}});
  REQUIRE(check_in(sandbox, {"--update"}).code == done);
  CHECK(check_in(sandbox).out == "  b.json: 2 unchanged\n");
  const json baseline = baseline_of(sandbox);
  CHECK(baseline["scenarios"][0]["results"]["metrics"]["mfu"] != baseline["scenarios"][1]["results"]["metrics"]["mfu"]);
  CHECK(baseline["scenarios"][1]["results"]["scenario"]["workload.batch"] == "256");
}

TEST_CASE("check: another SimGrid's numbers are compared within a tolerance, and it says so")
{
  const Sandbox sandbox;
  fill(sandbox);
  json baseline               = baseline_of(sandbox);
  baseline["simgrid_version"] = "3.36";
  sandbox.write("b.json", baseline);
  scale(sandbox, "mfu", 1 + 1e-7);
  const Outcome outcome = check_in(sandbox);
  CHECK(outcome.code == done);
  CHECK_THAT(outcome.out, Catch::Contains("made with SimGrid 3.36, this is ") &&
                              Catch::Contains("compared within 1e-06, not to the last bit"));
  check_error(check_in(sandbox, {"--update", "--filter", "big"}), bad_input, {"SimGrid 3.36", "--update all"});
  scale(sandbox, "mfu", 1 + 1e-5);
  const Outcome beyond = check_in(sandbox);
  CHECK(beyond.code == moved);
  CHECK_THAT(beyond.out, Catch::Contains("because only the program changed") && Catch::Contains("SimGrid 3.36; now"));
}

TEST_CASE("check: what is wrong with a baseline is told in a line")
{
  const Sandbox sandbox;
  const auto told = [&](const json& baseline, const Words& words) {
    sandbox.write("b.json", baseline);
    check_error(check_in(sandbox), bad_input, words);
  };
  sandbox.write("a.json", scenario());
  check_error(check_in(sandbox), bad_input, {"b.json: there is no such file", "folders", "--update"});
  check_error(check_in(sandbox, {"--junit", "-", "--json", "-"}), bad_input, {"only one"});
  told(json::array(), {"expected an object"});
  told({{"schema_version", 2}}, {"schema_version", "expected 1"});
  told({{"schema_version", 1}}, {"names neither"});
  told({{"schema_version", 1}, {"scenario", {"a.json"}}}, {"unknown key \"scenario\"", "did you mean \"scenarios\"?"});
  told({{"schema_version", 1}, {"scenarios", {"a.json", "a.json"}}}, {"scenarios[1]", "stands twice"});
  told({{"schema_version", 1}, {"scenarios", {"c.json"}}}, {"no scenario file \"c.json\""});
  told({{"schema_version", 1}, {"folders", {"none"}}}, {"no folder \"none\""});
  told({{"schema_version", 1}, {"scenarios", {"a.json"}}, {"tolerance", 2}}, {"tolerance", "from 0 to 1"});
  told({{"schema_version", 1}, {"scenarios", {"a.json"}}, {"tolerance", {{"mfo", 0.1}}}},
       {"tolerance", "did you mean \"mfu\"?"});
  told({{"schema_version", 1}, {"scenarios", {"a.json"}}, {"improvements", "acept"}}, {"did you mean \"accept\"?"});
  told({{"schema_version", 1}, {"scenarios", {{{"scenario", "a.json"}, {"results", json::object()}}}}},
       {"scenarios[0].results", "\"hash\" is missing"});
  sandbox.write("b.json", json{{"schema_version", 1}, {"scenarios", {"a.json"}}});
  check_error(check_in(sandbox, {"--filter", "z"}), bad_input, {"no scenario of b.json matches"});
  const Outcome fresh = check_in(sandbox);
  check_error(fresh, moved, {"1 new"});
  CHECK_THAT(fresh.out, Catch::Contains("the baseline has no results of it"));
}

TEST_CASE("check: JSON and JUnit say what the table says")
{
  const Sandbox sandbox;
  fill(sandbox);
  scale(sandbox, "mfu", 1.1);
  const Outcome outcome = check_in(sandbox, {"--json", "-", "--junit", "j.xml"});
  CHECK(outcome.code == moved);
  const json all = json::parse(outcome.out);
  REQUIRE(all["scenarios"].size() == 2);
  const json& row = all["scenarios"][0];
  CHECK(row["status"] == "moved");
  REQUIRE(row["changes"].size() == 1);
  CHECK(row["changes"][0]["metric"] == "mfu");
  CHECK(row["changes"][0]["effect"] == "worse");
  CHECK(row["changes"][0]["relative"].get<double>() == Approx(1 / 1.1 - 1));
  CHECK(row["same_inputs"] == true);
  CHECK(all["scenarios"][1]["status"] == "unchanged");
  const std::string junit = read_text(sandbox.path("j.xml"));
  CHECK_THAT(junit, Catch::Contains("tests=\"2\" failures=\"1\" errors=\"0\"") && Catch::Contains("name=\"a.json\"") &&
                        Catch::Contains("only the program changed"));
  CHECK(tool("xmllint", {"--noout", "--schema", source + "/tests/data/junit.xsd", sandbox.path("j.xml")}).empty());
}

TEST_CASE("check: where GitHub's actions run it, annotations and a summary")
{
  const Sandbox sandbox;
  fill(sandbox);
  scale(sandbox, "mfu", 1.1);
  const std::map<std::string, std::string> github{
      {"GITHUB_ACTIONS", "true"}, {"GITHUB_STEP_SUMMARY", sandbox.path("summary.md")}, {"GITHUB_WORKSPACE", ""}};
  sandbox.write("summary.md", std::string("before\n"));
  const Outcome outcome = check_in(sandbox, {}, github);
  CHECK(outcome.code == moved);
  CHECK_THAT(outcome.out, Catch::Contains("\n::error file=a.json,title=a.json moved::mfu: 0.") &&
                              Catch::Contains("%25), worse (allowed 1e-09)%0Abecause only the program changed"));
  const std::string summary = read_text(sandbox.path("summary.md"));
  CHECK_THAT(summary, Catch::StartsWith("before\n### podsim check: 1 moved, 1 unchanged") &&
                          Catch::Contains("| a.json | moved | mfu&#58; ") && Catch::Contains("podsim check b.json"));
  const Outcome as_json = check_in(sandbox, {"--json", "-"}, github);
  CHECK(json::accept(as_json.out));
  CHECK_THAT(as_json.err, Catch::Contains("::error file=a.json"));
  CHECK_THAT(check_in(sandbox).out, !Catch::Contains("::error"));
}
