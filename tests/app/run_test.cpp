// `podsim run` as a user meets it: what it prints, and what it says where a scenario cannot run.

#include "tests/support/palm.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("command line: the JSON of a run")
{
  const Sandbox sandbox;
  const Outcome first = call({"run", palm_file, "--json", "-"});
  REQUIRE(first.code == done);
  CHECK(first.err.empty());
  const json result = json::parse(first.out); // nothing else on standard output
  CHECK(result["status"] == "ok");
  CHECK(result["schema_version"] == 1);

  SECTION("same bytes again, from another folder, and in a file")
  {
    CHECK(call({"run", palm_file, "--json", "-"}).out == first.out);
    CHECK(call({"run", "scenarios/training/palm-540b.json", "--json", "-"}, {.directory = source}).out == first.out);
    CHECK(sandbox.call({"run", palm_file, "--json", "-", "--quiet"}).out == first.out);
    const Outcome both = sandbox.call({"run", palm_file, "--json", "result.json"});
    CHECK(both.code == done);
    CHECK_THAT(both.out, Catch::Contains("MFU"));
    CHECK(read_text(sandbox.path("result.json")) == first.out);
  }
  SECTION("--timing adds the wall time only")
  {
    const json timed = json::parse(call({"run", palm_file, "--json", "-", "--timing"}).out);
    CHECK(timed["simulation"]["wall_s"].is_number());
    json without = timed;
    without["simulation"].erase("wall_s");
    CHECK(without == result);
  }
  SECTION("--quiet prints nothing")
  {
    const Outcome outcome = call({"run", palm_file, "--quiet"});
    CHECK(outcome.code == done);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.empty());
  }
  SECTION("a place that cannot be written: the report has been printed all the same")
  {
    for (const std::string& place : {sandbox.path("none/result.json"), sandbox.path(""), std::string("/dev/full")}) {
      const Outcome outcome = call({"run", palm_file, "--json", place});
      check_error(outcome, bad_input, {"--json", "cannot be written"});
      CHECK_THAT(outcome.out, Catch::Contains("MFU"));
    }
  }
  SECTION("a standard output that cannot be written")
  {
    for (const Words& words :
         {Words{"run", palm_file}, {"run", palm_file, "--json", "-"}, {"show", palm_file}, {"list", "models"}, {}})
      check_error(call(words, {.output = "/dev/full"}), bad_input, {"standard output"});
  }
  SECTION("--set changes one value, checked like the file")
  {
    const json changed = json::parse(call({"run", palm_file, "--set", "workload.batch=1024", "--json", "-"}).out);
    CHECK(changed["tokens_per_step"] == 1024 * 2048);
    CHECK(changed["scenario"]["hash"] != result["scenario"]["hash"]);
    const Outcome removed =
        call({"show", palm_file, "--set", "published=null", "--set", "machine.chip.hbm_capacity=16 GiB"});
    CHECK(removed.code == done);
    CHECK_THAT(removed.out, Catch::Contains("16.0 GiB a chip"));
  }
}

TEST_CASE("command line: micro-benchmarks")
{
  const std::string folder = PODSIM_SOURCE_DIR "/scenarios/micro-benchmarks/";
  const Outcome outcome    = call({"run", folder + "v4-all-to-all-4x4x8.json"});
  CHECK(outcome.code == done);
  CHECK_THAT(outcome.out, Catch::Contains("bandwidth") && !Catch::Contains("MFU"));
  check_error(call({"run", folder + "v4-all-to-all-4x4x8.json", "--set", "micro_benchmark.collective=all-to-al"}),
              bad_input, {"micro_benchmark.collective", "did you mean \"all-to-all\"?"});
  check_error(call({"run", folder + "v4-all-to-all-4x4x8.json", "--set", R"(micro_benchmark.axes=["al"])"}), bad_input,
              {"micro_benchmark.axes", "did you mean \"all\"?"});
  check_error(call({"run", folder + "v4-all-to-all-4x4x8-twisted.json", "--set", "machine.slice=4x4x4", "--set",
                    "mesh.all.size=64"}),
              bad_input, {"machine.twisted", "4x4x4 cannot be twisted"});
  check_error(call({"run", folder + "v6e-copy.json", "--set", "micro_benchmark.copy=33.5"}), bad_input,
              {"micro_benchmark.copy", "33.5"});
}

TEST_CASE("command line: faults, what they cost, and the same bytes a hundred times")
{
  const std::string folder = source + "/scenarios/faults/";
  const Outcome outcome    = call({"run", folder + "palm-540b-straggler.json"});
  CHECK(outcome.code == done);
  CHECK_THAT(outcome.out, Catch::Contains("chip pod 0, x 3, y 4, z 5") && Catch::Contains("all of these") &&
                              Catch::Contains("waits least: 1 chip") && Catch::Contains("layers as repetitions"));
  const Outcome jitter = call({"run", folder + "palm-540b-jitter.json", "--json", "-"});
  const json result    = json::parse(jitter.out);
  CHECK(result["faults"]["at_least_s"] <= result["step_time_s"]);
  CHECK(result["faults"]["at_least_s"] > 0.999 * result["step_time_s"].get<double>());
  // A spare cube takes the place of the one with the dead link: the healthy step, and what is needed is there.
  const Outcome spare =
      call({"run", folder + "palm-540b-dead-link.json", "--json", "-", "--set", "faults.dead_links=spare cube"});
  const json re_formed = json::parse(spare.out);
  CHECK(re_formed["step_time_s"] == re_formed["faults"]["healthy_step_time_s"]);
  check_error(call({"run", folder + "palm-540b-dead-link.json", "--set", "faults.dead_links=spar cube"}), bad_input,
              {"faults.dead_links", "did you mean \"spare cube\"?"});
  check_error(call({"run", palm_file, "--set",
                    R"(faults={"chips": [{"at": {"pod": 0, "x": 12, "y": 0, "z": 0}, "hbm": 0.5}]})"}),
              bad_input, {"faults.chips[0].at.x", "11"});
  check_error(call({"run", palm_file, "--set", R"(faults={"chips": [{"at": {"pod": 0, "x": 1}, "hbm": 0.5}]})"}),
              bad_input, {"faults.chips[0].at", "missing"});

  const std::vector<std::string> again{
      "run",    source + "/scenarios/training/palm-8b.json",
      "--json", "-",
      "--set",  R"(faults={"random": {"seed": 5, "chips": {"rate": 0.01, "compute": 0.8}}})"};
  const std::string first = call(again).out;
  CHECK(json::parse(first)["simulation"]["classes"] > 1);
  for (int i = 0; i < 100; ++i)
    REQUIRE(call(again).out == first);
  // Nothing is skipped where that is not wanted, and nothing else changes.
  json skipped = json::parse(call({"run", palm_file, "--json", "-", "--granularity", "chunk"}).out);
  json full    = json::parse(call({"run", palm_file, "--json", "-", "--granularity", "chunk", "--every-layer"}).out);
  CHECK(full["simulation"]["repeated_layers"] == 0);
  CHECK(skipped["simulation"]["repeated_layers"] > 200);
  skipped.erase("simulation");
  full.erase("simulation");
  CHECK(skipped == full);
}

TEST_CASE("command line: a scenario that does not fit")
{
  SECTION("on its slice: a link joins chips, whatever their cores, and what is not known is not shown")
  {
    const Outcome cut = call({"run", "tpu-v3/lingvo-128b-8x8", "--set",
                              R"(faults={"links": [{"at": {"x": 1, "y": 1}, "axis": "x", "dead": true}]})"});
    CHECK(cut.code == cannot_run);
    CHECK(cut.out == "Lingvo's dense 128B on 64 TPU v3\n");
    CHECK_THAT(cut.err, Catch::Contains("the dead link up x from x 1, y 1 cuts a line"));
  }
  const Sandbox sandbox;
  SECTION("in memory: status, reason and memory table")
  {
    const Outcome outcome = sandbox.call({"run", palm_file, "--set", "workload.batch=65536", "--json", "result.json"});
    check_error(outcome, cannot_run,
                {palm_file, "needs 132 GiB a chip", "32.0 GiB", "would fit with workload.micro_batch=16 (19.2 GiB, "});
    CHECK_THAT(outcome.out, Catch::Contains("memory"));
    const json result = json::parse(read_text(sandbox.path("result.json")));
    CHECK(result["status"] == "memory");
    CHECK_THAT(result["reason"].get<std::string>(), Catch::Contains("132 GiB"));
    CHECK(result["memory_per_chip_bytes"]["total"].get<double>() >
          result["memory_per_chip_bytes"]["capacity"].get<double>());
    CHECK(!result.contains("step_time_s"));
    check_error(call({"show", palm_file, "--set", "workload.batch=65536"}), cannot_run,
                {palm_file, "needs 132 GiB a chip"});
  }
  SECTION("on the slice")
  {
    const Outcome outcome = call({"run", palm_file, "--set", "mesh.model.size=24", "--json", "-"});
    check_error(outcome, cannot_run, {palm_file, "mesh", "12288", "6144"});
    CHECK(json::parse(outcome.out)["status"] == "mesh");
    CHECK(!json::parse(outcome.out)["reason"].get<std::string>().empty());
    check_error(call({"show", palm_file, "--set", "mesh.model.size=24"}), cannot_run,
                {palm_file, "mesh", "12288", "6144"});
  }
  SECTION("in the time that the simulator's clock holds")
  {
    for (const char* change : {"machine.ici.link_bandwidth=1 kB/s", "machine.chip.matrix_peak=1 MFLOP/s"}) {
      const Outcome outcome = call({"run", palm_file, "--set", change, "--json", "-"});
      check_error(outcome, cannot_run, {palm_file, "would take about"});
      CHECK(json::parse(outcome.out)["status"] == "time");
      check_error(call({"show", palm_file, "--set", change}), cannot_run, {"would take about"});
    }
  }
}
