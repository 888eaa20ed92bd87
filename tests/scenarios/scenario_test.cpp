// The program as a user meets it: what it prints, what it says of wrong input, and its exit codes.

#include "tests/support/sandbox.hpp"

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>
#include <thread>
#include <unistd.h>

using nlohmann::json;
using namespace podsim::test;

namespace {

const std::string palm_file = source + "/scenarios/training/palm-540b.json";

json palm(const json& patch = json::object())
{
  json scenario = json::parse(read_text(palm_file));
  scenario.merge_patch(patch);
  return scenario;
}

// PaLM's scenario with all that it refers to written out.
json palm_in_full()
{
  const auto part = [](const std::string& file) {
    json value = json::parse(read_text(source + "/" + file));
    value.erase("schema_version");
    return value;
  };
  json scenario        = palm();
  scenario["model"]    = part("models/palm-540b.json");
  scenario["sharding"] = part("scenarios/shardings/gspmd-2d.json");
  scenario["software"] = part("scenarios/software/xla-tpu-2021.json");
  json machine         = part("topologies/machines/tpu-v4.json");
  machine["chip"]      = part("topologies/chips/tpu-v4.json");
  machine.merge_patch(scenario["machine"]);
  machine.erase("base");
  scenario["machine"]           = machine;
  scenario["workload"]["remat"] = part("scenarios/remats/palm-540b.json");
  return scenario;
}

struct Wrong {
  json patch; // of PaLM's scenario
  Words words;
  int code = bad_input;
};

void check_wrong(const std::vector<Wrong>& table, const json& scenario)
{
  const Sandbox sandbox;
  for (const Wrong& wrong : table) {
    INFO("patch: " << wrong.patch);
    json spoilt = scenario;
    spoilt.merge_patch(wrong.patch);
    sandbox.write("s.json", spoilt);
    const Outcome outcome = sandbox.call({"show", "s.json"});
    CHECK(outcome.out.empty());
    check_error(outcome, wrong.code, wrong.words);
  }
}

// Every value of a JSON tree by its pointer, the tree itself not.
std::vector<json::json_pointer> places(const json& value, const json::json_pointer& at = json::json_pointer())
{
  std::vector<json::json_pointer> all;
  const auto add = [&](const json::json_pointer& place, const json& child) {
    all.push_back(place);
    const auto below = places(child, place);
    all.insert(all.end(), below.begin(), below.end());
  };
  if (value.is_object())
    for (const auto& [key, child] : value.items())
      add(at / key, child);
  else if (value.is_array())
    for (std::size_t i = 0; i < value.size(); ++i)
      add(at / i, value[i]);
  return all;
}

// Whether a place is within one of many values alike: the constants but one, the published figures but the first.
bool is_one_of_many(const json& scenario, const json::json_pointer& place)
{
  const std::string text = place.to_string();
  if (text.starts_with("/published/") && !text.starts_with("/published/0"))
    return true;
  const json& holder = scenario[place.parent_pointer()];
  return holder.is_object() && holder.contains("value") && holder.contains("source") &&
         !text.starts_with("/published/0") && !text.starts_with("/machine/chip/dispatch");
}

// Processes of a group that have not ended.
std::vector<pid_t> members(pid_t group)
{
  std::vector<pid_t> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string process = entry.path().filename().string();
    if (process.find_first_not_of("0123456789") != std::string::npos)
      continue;
    std::ifstream stream(entry.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(stream)), {});
    const auto name_end = text.rfind(')'); // "pid (name) state parent group ..."
    if (name_end == std::string::npos)
      continue;
    std::istringstream rest(text.substr(name_end + 1));
    std::string state;
    pid_t parent = 0;
    pid_t own    = 0;
    rest >> state >> parent >> own;
    if (own == group && state != "Z")
      all.push_back(std::stoi(process));
  }
  return all;
}

} // namespace

TEST_CASE("command line: help and usage")
{
  SECTION("bare, short help with examples first")
  {
    const Outcome outcome = call({});
    CHECK(outcome.code == done);
    CHECK(outcome.err.empty());
    CHECK_THAT(outcome.out, Catch::Contains("podsim run scenarios/training/palm-540b.json"));
    CHECK(outcome.out.find("Examples") < outcome.out.find("Commands"));
    CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') <= 25); // a page of a terminal
  }
  SECTION("help of everything")
  {
    for (const Words& words : {Words{"--help"}, {"run", "--help"}, {"show", "--help"}, {"list", "--help"}}) {
      const Outcome outcome = call(words);
      CHECK(outcome.code == done);
      CHECK(outcome.err.empty());
      CHECK_THAT(outcome.out, Catch::Contains("Examples"));
    }
    CHECK_THAT(call({"--version"}).out, Catch::StartsWith("podsim "));
  }
  SECTION("mistyped")
  {
    check_error(call({"rum", palm_file}), bad_input, {"rum", "did you mean \"run\"?"});
    check_error(call({"shwo", palm_file}), bad_input, {"did you mean \"show\"?"});
    check_error(call({""}), bad_input, {"no command \"\""});
    check_error(call({"x\ny"}), bad_input, {"x\\x0ay"});
    check_error(call({"--hepl"}), bad_input, {"--hepl", "did you mean \"--help\"?"});
    check_error(call({"run", palm_file, "--jsom", "x"}), bad_input,
                {"--jsom", "did you mean \"--json\"?", "podsim run --help"});
    check_error(call({"run", palm_file, "--qiet"}), bad_input, {"--qiet", "did you mean \"--quiet\"?"});
    check_error(call({"run"}), bad_input, {"SCENARIO"});
    check_error(call({"show"}), bad_input, {"SCENARIO"});
    check_error(call({"list"}), bad_input, {"WHAT"});
    check_error(call({"run", ""}), bad_input, {"expected a scenario file"});
    check_error(call({"run", palm_file, "--json"}), bad_input, {"--json"});
    check_error(call({"run", palm_file, "--json", ""}), bad_input, {"--json"});
    check_error(call({"run", palm_file, palm_file}), bad_input, {"not expected"});
    check_error(call({"list", "model"}), bad_input, {"did you mean \"models\"?"});
    check_error(call({"run", palm_file, "--granularity", "chunks"}), bad_input,
                {"--granularity", "chunks", "auto, ", "did you mean \"chunk\"?"});
  }
}

TEST_CASE("command line: list")
{
  const auto listed = [](const std::string& what) {
    const Outcome outcome = call({"list", what});
    CHECK(outcome.code == done);
    CHECK(outcome.err.empty());
    return outcome.out;
  };
  CHECK_THAT(listed("models"),
             Catch::Contains("palm-540b") && Catch::Contains("PaLM 62B") && !Catch::Contains(".json"));
  CHECK_THAT(listed("chips"), Catch::Contains("tpu-v4"));
  CHECK_THAT(listed("machines"), Catch::Contains("TPU v4 pod"));
  CHECK_THAT(listed("scenarios"), Catch::Contains("palm-540b  ") && Catch::Contains("a100/palm-62b  ") &&
                                      !Catch::Contains(".json") && !Catch::Contains("schema") &&
                                      !Catch::Contains("fsdp"));
}

TEST_CASE("command line: show says what a scenario is, without simulating it")
{
  const Outcome outcome = call({"show", palm_file});
  CHECK(outcome.code == done);
  CHECK(outcome.err.empty());
  for (const char* part :
       {"540354281472", "12x16x16", "all-gather weights", "118 times", "GiB", "matrix_peak", "6144 chips"})
    CHECK_THAT(outcome.out, Catch::Contains(part));
  for (const char* part : {"simulated", "step time", "MFU"})
    CHECK_THAT(outcome.out, !Catch::Contains(part));
}

TEST_CASE("command line: published figures stay with the run that they were published for")
{
  const auto figures = [](const Outcome& outcome) { return json::parse(outcome.out).at("published").size(); };
  const Sandbox sandbox;
  const std::size_t all = figures(call({"run", palm_file, "--json", "-"}));
  REQUIRE(all > 0);
  // another reading of the same run
  CHECK(figures(call({"run", palm_file, "--set", "machine.chip.matrix_efficiency=0.9", "--json", "-"})) == all);
  // another run
  CHECK(figures(call({"run", palm_file, "--set", "workload.batch=1024", "--json", "-"})) == 0);
  sandbox.write("s.json", {{"base", palm_file}, {"name", "mine"}});
  CHECK(figures(sandbox.call({"run", "s.json", "--json", "-"})) == 0);
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

TEST_CASE("command line: colours for a terminal only, and not with NO_COLOR")
{
  CHECK(call({"run", palm_file}, {.environment = {{"TERM", "xterm"}}}).out.find('\x1b') == std::string::npos);
  CHECK(call({"show", palm_file}, {.environment = {{"TERM", "xterm"}}}).out.find('\x1b') == std::string::npos);

  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
    WARN("no pseudo-terminal is to be had here (a chroot without /dev/pts?): its colours are not tested");
    return;
  }
  const std::string name = ptsname(terminal);
  const int kept_open    = open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC); // or what was written may be lost
  const auto printed     = [&](const std::string& no_color) {
    CHECK(call({"list", "models"}).code == done);
    // A program that fails writes nothing here, and the read would wait for ever.
    REQUIRE(
            call({"run", palm_file}, {.environment = {{"TERM", "xterm"}, {"NO_COLOR", no_color}}, .output = name}).code ==
            done);
    std::string text(1U << 16U, '\0');
    const ssize_t got = read(terminal, text.data(), text.size());
    return text.substr(0, got > 0 ? static_cast<std::size_t>(got) : 0);
  };
  CHECK(printed("").find('\x1b') != std::string::npos);
  const std::string plain = printed("1");
  CHECK(plain.find("PaLM") != std::string::npos);
  CHECK(plain.find('\x1b') == std::string::npos);
  close(kept_open);
  close(terminal);
}

TEST_CASE("command line: a scenario that does not fit")
{
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

TEST_CASE("command line: an interrupt ends a long run with 130 and leaves no process")
{
  const bool whole_group = GENERATE(true, false); // as Ctrl-C does, or sent to the program alone
  pid_t group            = 0;
  const RunOptions options{.meanwhile = [&](pid_t program) {
    group = program;
    for (int i = 0; i < 500 && members(program).size() < 2; ++i) // until the simulation's process is there
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(members(program).size() == 2);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    kill(whole_group ? -program : program, SIGINT);
  }};
  const Outcome outcome =
      call({"run", palm_file, "--explicit", "--granularity", "chunk", "--quiet", "--json", "-"}, options);
  CHECK(outcome.code == was_interrupted);
  CHECK(!outcome.signalled);
  CHECK(outcome.out.empty());
  CHECK(outcome.err == "podsim: interrupted\n");
  CHECK(members(group).empty());
}

TEST_CASE("bad input: --set")
{
  const auto set = [](const std::string& change) { return call({"show", palm_file, "--set", change}); };
  check_error(set("workload.batch"), bad_input, {"--set", "PATH=VALUE", "workload.batch"});
  check_error(set("=3"), bad_input, {"--set", "PATH=VALUE"});
  check_error(set("workload.bach=1024"), bad_input, {"--set workload.bach=1024", "did you mean \"batch\"?"});
  check_error(set("worklaod.batch=1024"), bad_input, {"--set", "worklaod", "did you mean \"workload\"?"});
  check_error(set("machine.chp.dispatch=1 us"), bad_input, {"--set", "machine.chp", "did you mean \"chip\"?"});
  check_error(set("machine.chip.dispach=1 us"), bad_input, {"--set", "did you mean \"dispatch\"?"});
  check_error(set("workload.batch.size=3"), bad_input, {"--set", "\"workload.batch\" is not an object"});
  check_error(set("workload.batch=many"), bad_input, {"--set workload.batch=many", "a whole number", "\"many\""});
  check_error(set("workload.batch="), bad_input, {"a whole number", "\"\""});
  check_error(set("workload.batch=0"), bad_input,
              {"--set workload.batch=0: workload.batch", "a whole number", "found 0"});
  check_error(set("workload.batch=[1,2]"), bad_input, {"a whole number", "found a list"});
  check_error(set("workload.batch=1e999"), bad_input, {"a whole number"});
  check_error(set("workload.batch=null"), bad_input, {"\"batch\" is missing"});
  check_error(set("workload.bach=null"), bad_input, {"--set", "null", "did you mean \"batch\"?"});
  check_error(set("model=palm-540"), bad_input, {"--set model=palm-540", "did you mean \"palm-540b\"?"});
  check_error(set("model=none.json"), bad_input, {"--set model=none.json", "no file \"none.json\""});
  check_error(set("machine.chip.hbm_bandwidth=1200"), bad_input,
              {"machine.chip.hbm_bandwidth", "with its unit", "1200"});
  check_error(set("machine.pods=4096"), bad_input, {"mesh", "6144", "12582912"});
  check_error(set("note={\"a\":1,\"a\":2}"), bad_input, {"--set note", "\"a\" stands twice"});
  check_error(set("note=" + std::string(50'000, '[') + std::string(50'000, ']')), bad_input,
              {"--set note", "nested deeper"});
}

TEST_CASE("bad input: keys unknown, misspelt and missing, at every level")
{
  check_wrong(
      {{{{"modle", 1}}, {"s.json: unknown key \"modle\"", "did you mean \"model\"?"}},
       {{{"zzzzzzzz", 1}}, {"s.json: unknown key \"zzzzzzzz\""}},
       {{{"a\nb", 1}}, {"a\\x0ab"}},
       {{{"model", nullptr}, {"modle", "palm-8b"}}, {"s.json: unknown key \"modle\"", "did you mean \"model\"?"}},
       {{{"mesh", nullptr}}, {"s.json: the key \"mesh\" is missing"}},
       {{{"name", nullptr}}, {"s.json: the key \"name\" is missing"}},
       {{{"schema_version", nullptr}}, {"the key \"schema_version\" is missing"}},
       {{{"workload", {{"bach", 1}}}}, {"s.json: workload: unknown key \"bach\"", "did you mean \"batch\"?"}},
       {{{"workload", {{"batch", nullptr}, {"bach", 1}}}},
        {"s.json: workload: unknown key \"bach\"", "did you mean \"batch\"?"}},
       {{{"workload", {{"remat", nullptr}}}}, {"s.json: workload: the key \"remat\" is missing"}},
       {{{"machine", {{"slise", "4x4x4"}}}}, {"s.json: machine: unknown key \"slise\"", "did you mean \"slice\"?"}},
       {{{"machine", {{"slice", nullptr}}}}, {"machine: the key \"slice\" is missing"}},
       {{{"mesh", {{"data", {{"sise", 1}}}}}}, {"s.json: mesh.data: unknown key \"sise\"", "did you mean \"size\"?"}},
       {{{"mesh", {{"data", {{"on", nullptr}}}}}}, {"s.json: mesh.data: the key \"on\" is missing"}}},
      palm());

  json figure      = palm()["published"][0];
  figure["metrik"] = figure["metric"];
  figure.erase("metric");
  check_wrong(
      {{{{"published", {figure}}}, {"s.json: published[0]: unknown key \"metrik\"", "did you mean \"metric\"?"}}},
      palm());

  // Each key of a scenario written out in full, misspelt. Some are free to be named otherwise.
  const Sandbox sandbox;
  const json full = palm_in_full();
  for (const json::json_pointer& place : places(full)) {
    const std::string key = place.back();
    const bool optional   = key == "note" || place.parent_pointer().to_string() == "/mesh";
    if (optional || full.at(place.parent_pointer()).is_array() || is_one_of_many(full, place))
      continue;
    json spoilt       = full;
    json& holder      = spoilt[place.parent_pointer()];
    holder[key + "x"] = holder[key];
    holder.erase(key);
    sandbox.write("s.json", spoilt);
    INFO(place.to_string());
    check_error(sandbox.call({"show", "s.json"}), bad_input, {"s.json: ", "\"" + key});
  }
}

TEST_CASE("bad input: values of the wrong type")
{
  check_wrong(
      {{{{"schema_version", 2}}, {"s.json: schema_version: expected 1, found 2"}},
       {{{"schema_version", "1"}}, {"schema_version: expected 1, found \"1\""}},
       {{{"name", 1}}, {"s.json: name: expected a text, found 1"}},
       {{{"model", 1}}, {"s.json: model: expected an object, found 1"}},
       {{{"model", json::array()}}, {"s.json: model: expected an object, found a list"}},
       {{{"workload", "big"}}, {"s.json: workload: expected an object, found \"big\""}},
       {{{"workload", {{"batch", "2048"}}}}, {"s.json: workload.batch: expected a whole number", "found \"2048\""}},
       {{{"workload", {{"batch", 2048.5}}}}, {"workload.batch: expected a whole number", "found 2048.5"}},
       {{{"workload", {{"batch", true}}}}, {"workload.batch: expected a whole number", "found true"}},
       {{{"workload", {{"optimizer", 1}}}}, {"s.json: workload.optimizer: expected one of adamw, ", "found 1"}},
       {{{"mesh", json::array()}}, {"s.json: mesh: expected an object, found a list"}},
       {{{"mesh", {{"data", 256}}}}, {"s.json: mesh.data: expected an object, found 256"}},
       {{{"mesh", {{"data", {{"on", 1}}}}}}, {"s.json: mesh.data.on: expected an object, found 1"}},
       {{{"mesh", {{"data", {{"on", {"y", 7}}}}}}}, {"s.json: mesh.data.on[1]: expected an object, found 7"}},
       {{{"machine", {{"slice", 3072}}}}, {"s.json: machine.slice: expected a slice shape of 3 sizes", "found 3072"}},
       {{{"machine", {{"base", 4}}}}, {"s.json: machine.base: expected the name of a machine, found 4"}},
       {{{"sharding", {{"base", "fsdp"}, {"weights", 3}}}}, {"s.json: sharding.weights: expected an object, found 3"}},
       {{{"software", {{"base", "xla-tpu-2021"}, {"asynchronous", "all"}}}},
        {"s.json: software.asynchronous: expected a list"}},
       {{{"software", {{"base", "xla-tpu-2021"}, {"asynchronous", {"weight gather"}}}}},
        {"s.json: software.asynchronous[0]", "did you mean \"weight gathers\"?"}},
       {{{"published", "none"}}, {"s.json: published: expected a list, found \"none\""}},
       {{{"published", {7}}}, {"s.json: published[0]: expected an object, found 7"}},
       {{{"base", 7}}, {"s.json: base: expected the name or the path of a scenario, found 7"}}},
      palm());

  const json figure   = palm()["published"][0];
  const auto replaced = [&](const json& patch) {
    json changed = figure;
    changed.merge_patch(patch);
    return json{{"published", {changed}}};
  };
  check_wrong({{replaced({{"metric", "mfuu"}}), {"s.json: published[0].metric", "did you mean \"mfu\"?"}},
               {replaced({{"unit", "s"}}), {"s.json: published[0].unit: expected one of %, found \"s\""}},
               {replaced({{"value", "46.2"}}), {"s.json: published[0].value: expected a number"}},
               {replaced({{"value", -46.2}}), {"s.json: published[0].value: expected a positive number", "-46.2"}},
               {replaced({{"value", 1e300}}), {"published[0].value: expected a positive number below 1e30", "1e+300"}},
               {replaced({{"calibration", "no"}}), {"s.json: published[0].calibration: expected true or false"}},
               {replaced({{"statistic", "mean"}}), {"s.json: published[0].statistic: expected one of best, median"}}},
              palm());

  // Each value of a scenario written out in full, of another type. Notes may be anything.
  const Sandbox sandbox;
  const json full = palm_in_full();
  for (const json::json_pointer& place : places(full)) {
    const std::string text = place.to_string();
    if (text.find("/note") != std::string::npos || is_one_of_many(full, place))
      continue;
    json spoilt   = full;
    spoilt[place] = full[place].is_number() ? json("7") : full[place].is_boolean() ? json(7) : json(true);
    sandbox.write("s.json", spoilt);
    INFO(text);
    std::string last = place.back();
    if (last.find_first_not_of("0123456789") == std::string::npos)
      last = "[" + last + "]"; // as messages write the index of a list
    check_error(sandbox.call({"show", "s.json"}), bad_input, {"s.json: ", last, "expected", "found"});
  }
}

TEST_CASE("bad input: quantities")
{
  const Sandbox sandbox;
  const auto rate = [&](const json& value) {
    json scenario                                = palm();
    scenario["machine"]["ici"]["link_bandwidth"] = value;
    sandbox.write("s.json", scenario);
    return sandbox.call({"show", "s.json"});
  };
  const std::string place = "s.json: machine.ici.link_bandwidth: ";
  check_error(rate(45), bad_input,
              {place + "expected a number with its unit, like \"45 GB/s\" or \"45 Gb/s\", found 45"});
  check_error(rate("45"), bad_input, {place + "found \"45\"", "without a unit", "\"45 GB/s\""});
  check_error(rate(""), bad_input, {place + "found \"\"", "\"45 GB/s\""});
  check_error(rate("fast"), bad_input, {place + "found \"fast\"", "not a number with a unit"});
  check_error(rate("45 parsec"), bad_input, {place, "unknown unit \"parsec\"", "\"45 GB/s\""});
  check_error(rate("45 gb/s"), bad_input, {place, "unknown unit \"gb/s\""});
  check_error(rate("45 GB"), bad_input, {place, "unknown unit \"GB\""});
  check_error(rate("45 us"), bad_input, {place, "unknown unit \"us\""});
  check_error(rate("45 GB/s\n"), bad_input, {place, "unknown unit \"GB/s\\x0a\""});
  check_error(rate("45 " + std::string(5000, 'G') + "/s"), bad_input, {place, "unknown unit"});
  for (const char* absurd : {"0 GB/s", "-45 GB/s", "1e300 GB/s", "1e-300 GB/s", "1e30 GB/s", "0.001 B/s"})
    check_error(rate(absurd), bad_input, {place + "expected a quantity from 1 kB/s to 1 EB/s, found \"" + absurd});
  for (const char* overflow : {"1e999 GB/s", "nan GB/s", "inf GB/s", "-inf GB/s"})
    CHECK(rate(overflow).code == bad_input);
  check_error(rate(true), bad_input, {place + "expected a quantity, like \"45 GB/s\", found true"});
  check_error(rate(json{{"value", "45"}, {"source", "measured"}}), bad_input,
              {"s.json: machine.ici.link_bandwidth.value: found \"45\""});
  check_error(rate(json{{"valeu", "45 GB/s"}}), bad_input,
              {"s.json: machine.ici.link_bandwidth: unknown key \"valeu\"; did you mean \"value\"?"});
  CHECK(rate("45 GB/s").code == done);

  check_wrong(
      {{{{"workload", {{"batch", 0}}}}, {"s.json: workload.batch: expected a whole number from 1", "found 0"}},
       {{{"workload", {{"batch", -2048}}}}, {"workload.batch", "found -2048"}},
       {{{"workload", {{"batch", 1e300}}}}, {"workload.batch: expected a whole number", "found 1e+300"}},
       {{{"workload", {{"batch", 18446744073709551615U}}}}, {"workload.batch", "found 18446744073709551615"}},
       {{{"workload", {{"sequence", 1e-300}}}}, {"workload.sequence: expected a whole number", "1e-300"}},
       {{{"machine", {{"pods", 0}}}}, {"s.json: machine.pods: expected a whole number", "found 0"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"matrix_efficiency", 0}}}}}},
        {"s.json: machine.chip.matrix_efficiency: expected a fraction", "found 0"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"matrix_efficiency", 1e-300}}}}}},
        {"matrix_efficiency: expected a fraction"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"matrix_efficiency", 95}}}}}},
        {"matrix_efficiency: expected a fraction", "found 95"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"hbm_capacity", "0 GiB"}}}}}},
        {"machine.chip.hbm_capacity: expected a quantity"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"dispatch", "1e300 s"}}}}}},
        {"machine.chip.dispatch: expected a quantity"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"matrix_tile", {8, 128}}}}}}},
        {"machine.chip.matrix_tile: expected a list of three"}},
       {{{"model", {{"base", "palm-540b"}, {"layers", 0}}}},
        {"s.json: model.layers: expected a whole number", "found 0"}},
       {{{"model", {{"base", "palm-540b"}, {"layers", -118}}}}, {"s.json: model.layers", "found -118"}},
       {{{"model", {{"base", "palm-540b"}, {"layers", 1'000'000'000}}}}, {"s.json: model.layers", "found 1000000000"}}},
      palm());

  sandbox.write("s.json", std::string("{\"schema_version\": 1e999}"));
  check_error(sandbox.call({"show", "s.json"}), bad_input, {"s.json: ", "1e999"});
}

TEST_CASE("bad input: meshes and slices")
{
  const auto axis = [](const char* name, std::int64_t size, const json& on) {
    return json{{"mesh", {{name, {{"size", size}, {"on", on}}}}}};
  };
  const auto slice = [](const json& shape) { return json{{"machine", {{"slice", shape}}}}; };
  const auto part  = [](const char* name, int length, int stride) {
    return json{{"axis", name}, {"length", length}, {"stride", stride}};
  };
  check_wrong(
      {{axis("model", 6, "x"), {"s.json: mesh: ", "multiply to 3072", "6144 chips"}},
       {axis("model", 24, "x"), {"mesh: ", "multiply to 12288", "6144 chips"}, cannot_run},
       {axis("data", 256, {"x", "y"}),
        {"s.json: mesh.data: an axis of 256 does not fit on x, y, which has 192"},
        cannot_run},
       {axis("data", 256, "z"), {"mesh.data: an axis of 256 does not fit on z, which has 16"}, cannot_run},
       {axis("model", 12, "dcn"), {"mesh.model: an axis of 12 does not fit on DCN, which has 2"}, cannot_run},
       {axis("data", 256, {"y", "q"}), {"s.json: mesh.data.on[1]: expected one of x, y, z, dcn, found \"q\""}},
       {axis("data", 256, "dnc"), {"s.json: mesh.data.on: expected one of x, y, z"}},
       {axis("data", 256, {"y", "y"}),
        {"s.json: mesh: the machine's axis y is 16 long, but mesh axes on it multiply to 256"}},
       {axis("data", 256, {"y", part("z", 32, 1)}),
        {"s.json: mesh.data.on[1].length: expected a whole number from 1 to 16"}},
       {axis("data", 256, {"y", part("z", 3, 1)}), {"s.json: mesh.data.on[1]: length 3 with stride 1 does not divide"}},
       {axis("data", 256, {"y", part("z", 2, 2)}), {"s.json: mesh.data.on[1]: a stride needs a ring"}},
       {axis("data", 256, {"y", part("z", 4, 1), part("z", 4, 1)}), {"s.json: mesh: the parts of the axis z overlap"}},
       {axis("data", 0, {"y", "z"}), {"s.json: mesh.data.size: expected a whole number", "found 0"}},
       {slice("3x5x7"), {"s.json: machine.slice: 3x5x7 cannot be formed", "a multiple of 4, or all at most 4"}},
       {slice("12x16x15"), {"machine.slice: 12x16x15 cannot be formed"}},
       {slice("64x64x64"), {"s.json: machine.slice: 64x64x64 is 262144 chips; a pod has 4096"}},
       {slice("axbxc"),
        {"s.json: machine.slice: expected a slice shape of 3 sizes up to 10000, like \"12x16x16\", found \"axbxc\""}},
       {slice("12x16"), {"machine.slice: expected a slice shape of 3 sizes", "found \"12x16\""}},
       {slice("12x16x16x4"), {"machine.slice: expected a slice shape", "found \"12x16x16x4\""}},
       {slice("12x16x16x"), {"machine.slice: expected a slice shape", "found \"12x16x16x\""}},
       {slice("12x16x16x0"), {"machine.slice: expected a slice shape"}},
       {slice("12x16x16 "), {"machine.slice: expected a slice shape"}},
       {slice("12X16X16"), {"machine.slice: expected a slice shape"}},
       {slice("0x16x16"), {"machine.slice: expected a slice shape"}},
       {slice("-4x16x16"), {"machine.slice: expected a slice shape"}},
       {slice("99999999999999999999x4x4"), {"machine.slice: expected a slice shape"}},
       {slice(""), {"machine.slice: expected a slice shape", "found \"\""}},
       {{{"machine", {{"pods", 100'000}}}}, {"s.json: machine.pods: expected a whole number from 1 to 65536"}},
       {{{"machine", {{"pods", 4096}, {"slice", "100x100x100"}, {"ici", {{"pod_chips", 1'000'000}}}}}},
        {"s.json: machine.pods: 4096 pods of 1000000 are"}}},
      palm());

  json many = palm();
  for (int i = 0; i < 40; ++i)
    many["mesh"]["axis" + std::to_string(i)] = {{"size", 1}, {"on", json::array()}};
  check_wrong({{json::object(), {"s.json: mesh: more than 16 axes"}}}, many);
}

TEST_CASE("bad input: pipelines and micro-batches")
{
  const json on_dcn{{"pod", nullptr}, {"pipeline", {{"size", 2}, {"on", "dcn"}}}};
  const auto piped = [&](const json& pipeline, int micro_batch = 1, int layers = 118) {
    return json{{"mesh", on_dcn},
                {"pipeline", pipeline},
                {"model", {{"base", "palm-540b"}, {"layers", layers}}},
                {"workload", {{"micro_batch", micro_batch}}}};
  };
  const json one_by_one{{"schedule", "1f1b"}};
  const json interleaved{{"schedule", "interleaved"}, {"chunks", 2}};
  const auto on_x = [&](const json& stages, const json& model, const json& pipeline) {
    json change    = piped(pipeline, 1, 120);
    change["mesh"] = {{"pipeline", stages}, {"model", model}};
    return change;
  };
  const json part_of_x{{"size", 4}, {"on", {{"axis", "x"}, {"length", 4}}}};
  const json every_4th{{"size", 3}, {"on", {{"axis", "x"}, {"length", 3}, {"stride", 4}}}};
  json on_two_axes    = piped(one_by_one, 1, 120);
  on_two_axes["mesh"] = {
      {"pod", nullptr}, {"model", nullptr}, {"pipeline", {{"size", 24}, {"on", json::array({"x", "dcn"})}}}};
  check_wrong(
      {{{{"pipeline", one_by_one}}, {"s.json: pipeline: the mesh has no axis \"pipeline\" for its stages"}},
       {{{"mesh", on_dcn}}, {"s.json: ", "a mesh with the axis \"pipeline\" needs a \"pipeline\""}},
       {piped({{"schedule", "2f2b"}}), {"s.json: pipeline.schedule: expected one of gpipe, 1f1b, interleaved"}},
       {piped({{"schedule", "interleaved"}}), {"s.json: pipeline: ", "chunks"}},
       {piped({{"schedule", "1f1b"}, {"chunks", 2}}), {"s.json: pipeline", "chunks"}},
       {piped(interleaved), {"s.json: pipeline: 118 layers do not divide into 4 equal pieces"}},
       {piped({{"schedule", "1f1b"}, {"layers", {59, 58}}}),
        {"s.json: pipeline: \"layers\" must be 2 numbers that add up to 118"}},
       {piped({{"schedule", "1f1b"}, {"layers", {118}}}),
        {"s.json: pipeline: \"layers\" must be 2 numbers that add up to 118"}},
       {piped(interleaved, 8, 120), {"s.json: pipeline: ", "multiples of its 2 stages; there are 1"}},
       {piped(one_by_one, 3), {"s.json: workload.micro_batch: 3 sequences on each of 256 replicas"}},
       {piped(one_by_one, 0), {"s.json: workload.micro_batch: expected a whole number"}},
       {on_two_axes, {"s.json: pipeline: stages must lie along one axis of the machine"}},
       {on_x(every_4th, part_of_x, one_by_one), {"s.json: pipeline: stages on a torus axis must be neighbours"}},
       {on_x(part_of_x, every_4th, interleaved), {"s.json: pipeline: ", "on a ring where the schedule is"}},
       {{{"mesh", {{"pipeline", {{"size", 1}, {"on", json::array()}}}}}, {"pipeline", interleaved}},
        {"s.json: pipeline: an interleaved schedule needs more than one stage"}},
       // The rings of the other axis would go through chips of other stages.
       {on_x(part_of_x, every_4th, one_by_one), {"s.json: pipeline: ", "stages"}}},
      palm());
}

TEST_CASE("bad input: what does not divide")
{
  const auto model = [](const char* key, int value) { return json{{"model", {{"base", "palm-540b"}, {key, value}}}}; };
  check_wrong(
      {{model("heads", 50),
        {"s.json: model.heads: 50 heads cannot be divided over the 12 devices of the mesh axis model"}},
       {model("d_ff", 73729), {"s.json: model.d_ff: 73729 channels of the MLP cannot be divided over the 12 devices"}},
       {model("d_model", 18434), {"s.json: model.d_model: 18434 channels cannot be divided over the"}},
       {{{"workload", {{"batch", 2047}}}},
        {"s.json: workload.batch: 2047 sequences cannot be divided over the 512 devices", "data+pod"}},
       {model("key_value_heads", 5), {"s.json: model.key_value_heads: must divide heads, which is 48"}},
       {model("key_value_heads", 96), {"s.json: model.key_value_heads: must divide heads, which is 48"}},
       {{{"sharding", {{"base", "gspmd-2d"}, {"compute", {{"sequence", "model"}}}}},
         {"workload", {{"sequence", 2047}}}},
        {"s.json: workload.sequence: 2047 tokens of a sequence cannot be divided"}},
       {{{"sharding", {{"base", "gspmd-2d"}, {"weights", {{"embed", "dta"}}}}}},
        {"s.json: sharding.weights.embed: the mesh has no axis \"dta\"", "did you mean \"data\"?"}},
       {{{"sharding", {{"base", "gspmd-2d"}, {"weights", {{"embedd", "data"}}}}}},
        {"s.json: sharding.weights: unknown key \"embedd\"", "did you mean \"embed\"?"}},
       {{{"software", {{"base", "xla-tpu-2021"}, {"reduce_after_backward", {"pods"}}}}},
        {"s.json: software.reduce_after_backward[0]", "did you mean \"pod\"?"}},
       {{{"workload", {{"remat", {{"name", "own"}, {"keep", {"qeury"}}}}}}},
        {"s.json: workload.remat.keep[0]: expected the name of a tensor in a layer", "did you mean \"query\"?"}},
       {{{"workload", {{"remat", {{"name", "own"}, {"keep", "all"}, {"repeats_logits", true}}}}}},
        {"s.json: workload.remat: \"repeats_logits\" needs \"matrix_fraction\""}},
       {{{"model", {{"base", "palm-540b"}, {"positions", {{"learned", 512}}}}}},
        {"s.json: workload.sequence: the model has learned positions for 512 tokens only"}}},
      palm());
  // A value of the catalogue is not to blame: the user's mesh is.
  check_wrong({{{{"mesh", {{"model", {{"size", 16}, {"on", "x"}}}}},
                 {"machine", {{"slice", "16x16x16"}}},
                 {"model", "palm-62b"}},
                {"s.json: mesh", "32 heads", "the model.heads of models/palm-62b.json"}}},
              [] {
                json scenario        = palm();
                scenario["model"]    = "palm-62b";
                scenario["sharding"] = {{"base", "gspmd-2d"}, {"compute", {{"heads", {"model", "pod", "data"}}}}};
                return scenario;
              }());
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

TEST_CASE("bad input: bases and files that refer to each other")
{
  const Sandbox sandbox;
  const auto show = [&](const std::string& file) { return sandbox.call({"show", file}); };
  SECTION("cycles")
  {
    sandbox.write("self.json", {{"base", "self.json"}});
    check_error(show("self.json"), bad_input, {"self.json: base: leads back to this file"});
    sandbox.write("a.json", {{"base", "deep/b.json"}});
    sandbox.write("deep/b.json", {{"base", "../a.json"}});
    check_error(show("a.json"), bad_input, {"a.json: base: leads back to this file"});
    check_error(show("deep/b.json"), bad_input, {"b.json: base: leads back to this file"});
  }
  SECTION("missing")
  {
    sandbox.write("scenario.json", palm());
    sandbox.write("over.json", {{"base", "scenari.json"}});
    check_error(show("over.json"), bad_input,
                {"over.json: base: scenari.json: there is no such file", "did you mean \"scenario.json\"?"});
    sandbox.write("over.json", {{"base", "."}});
    check_error(show("over.json"), bad_input, {"is a folder"});
    check_error(show("scenaro.json"), bad_input,
                {"scenaro.json: there is no such file", "did you mean \"scenario.json\"?"});
    check_error(show("no/where/at-all.json"), bad_input, {"no/where/at-all.json: there is no such file"});
    check_error(show("line\nbreak.json"), bad_input, {"line\\x0abreak.json: there is no such file"});
    sandbox.write("model.json", std::string("{"));
    sandbox.write("over.json", {{"base", "scenario.json"}, {"model", "model.json"}});
    check_error(show("over.json"), bad_input, {"model.json: parse error at line 1"});
    sandbox.write("model.json", std::string("[]"));
    check_error(show("over.json"), bad_input, {"model.json: expected an object, found array"});
    sandbox.write("model.json", {{"schema_version", 3}});
    check_error(show("over.json"), bad_input, {"model.json: schema_version: expected 1, found 3"});
    sandbox.write("model.json", {{"base", "palm-540b"}});
    CHECK(show("over.json").code == done);
    sandbox.write("model.json", {{"base", "model.json"}});
    check_error(show("over.json"), bad_input, {"model.json: model.base: its bases lead back to it"});
  }
  SECTION("a value is named by the file it stands in, and a reference is followed from there")
  {
    json own = json::parse(read_text(source + "/models/palm-540b.json"));
    json far = palm({{"model", "parts/model.json"}});
    sandbox.write("far/parts/model.json", own);
    sandbox.write("far/scenario.json", far);
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}, {"machine", {{"pods", 2}}}});
    sandbox.write("top.json", {{"base", "near/middle.json"}});
    CHECK(show("top.json").code == done);
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}, {"machine", {{"pods", 0}}}});
    check_error(show("top.json"), bad_input, {"podsim: near/middle.json: machine.pods: "});
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}, {"wrkload", {{"batch", 1}}}});
    check_error(show("top.json"), bad_input,
                {"podsim: near/middle.json: unknown key \"wrkload\"", "did you mean \"workload\"?"});
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}, {"softwar", nullptr}});
    check_error(show("top.json"), bad_input,
                {"podsim: near/middle.json: softwar: null removes", "did you mean \"software\"?"});
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}});
    far["workload"]["batch"] = 0;
    sandbox.write("far/scenario.json", far);
    check_error(show("top.json"), bad_input, {"podsim: far/scenario.json: workload.batch: "});
    far["workload"]["batch"] = 2048;
    sandbox.write("far/scenario.json", far);
    own["layers"] = 0;
    sandbox.write("far/parts/model.json", own);
    check_error(show("top.json"), bad_input, {"far/parts/model.json: model.layers: "});
    check_error(sandbox.call({"show", "top.json", "--set", "model.layers=-1"}), bad_input,
                {"--set model.layers=-1: model.layers: "});
    own["layers"] = 118;
    sandbox.write("far/parts/model.json", own);
    CHECK(sandbox.call({"show", palm_file, "--set", "model=far/parts/model.json"}).code == done);
  }
  SECTION("a value laid over one of the catalogue does not keep its source")
  {
    json scenario                                  = palm();
    scenario["machine"]["dcn"]["latency"]["value"] = "90 us";
    sandbox.write("s.json", scenario);
    const json result = json::parse(sandbox.call({"run", "s.json", "--json", "-"}).out);
    for (const json& constant : result["provenance"]["constants"])
      if (constant["path"] == "machine.dcn.latency") {
        CHECK(constant["value"] == "90 us");
        CHECK(constant["source"] == "given by s.json");
      }
  }
}

TEST_CASE("bad input: files that are no scenario")
{
  const Sandbox sandbox;
  const auto show = [&](const std::string& text) {
    sandbox.write("s.json", text);
    return sandbox.call({"show", "s.json"});
  };
  const std::string whole = read_text(palm_file);
  check_error(show(whole.substr(0, whole.size() / 2)), bad_input, {"s.json: parse error at line "});
  check_error(show(whole.substr(0, whole.size() - 3)), bad_input, {"s.json: parse error at line "});
  check_error(show(""), bad_input, {"s.json: is empty"});
  check_error(show(" \n\n"), bad_input, {"s.json: is empty"});
  check_error(show("name: PaLM\nmodel: palm-540b\n"), bad_input, {"s.json: parse error at line 1"});
  check_error(show(whole + "x"), bad_input, {"s.json: parse error at line "});
  check_error(show("[]"), bad_input, {"s.json: expected an object, found array"});
  check_error(show("3"), bad_input, {"s.json: expected an object, found number"});
  check_error(show("null"), bad_input, {"s.json: expected an object, found null"});
  check_errors(show("{}"), {"the key \"schema_version\" is missing: 1", "the key \"name\" is missing: a text",
                            "the key \"machine\" is missing: one of a100-80gb-roce, dgx-1-v100",
                            "the key \"mesh\" is missing", "the key \"model\" is missing: one of bloom-176b, ",
                            "the key \"workload\" is missing: an object with batch, sequence, remat, optimizer",
                            "the key \"sharding\" is missing: one of context, data-parallel, fsdp",
                            "the key \"software\" is missing: one of "});
  check_error(show("{\"name\": \"a\", \"name\": \"b\"}"), bad_input, {"s.json: the key \"name\" stands twice"});
  check_error(show("{\"mesh\": {\"a\": {\"size\": 1, \"size\": 2}}}"), bad_input,
              {"s.json: the key \"size\" stands twice"});
  check_error(show("{\"name\": \"\xff\xfe\"}"), bad_input, {"s.json: parse error at line 1", "UTF-8"});
  check_error(show("{\"name\": \"\xed\xa0\x80\"}"), bad_input, {"s.json: parse error at line 1", "UTF-8"});
  check_error(show(std::string("{\"name\": \"a\0b\"}", 15)), bad_input, {"s.json: parse error at line 1"});
  check_error(show(std::string(100, '\0')), bad_input, {"s.json: parse error at line 1"});
  check_error(show("{\"name\": \"" + std::string(1'000'000, 'a')), bad_input, {"s.json: parse error at line 1"});
  check_error(show("{\"name\": " + std::string(1'000'000, '9') + "}"), bad_input, {"s.json: "});
  check_error(show("{\"note\": \"" + std::string(20U << 20U, 'a') + "\"}"), bad_input, {"s.json: larger than 16 MiB"});
  check_error(show(std::string(100'000, '[')), bad_input, {"s.json: nested deeper than 64 levels"});
  check_error(show("{\"note\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}"), bad_input,
              {"s.json: nested deeper than 64 levels"});
  std::string objects;
  for (int i = 0; i < 100'000; ++i)
    objects += "{\"a\":";
  check_error(show(objects + "1" + std::string(100'000, '}')), bad_input, {"s.json: nested deeper than 64 levels"});

  check_error(sandbox.call({"show", "."}), bad_input, {".: is a folder"});
  check_error(sandbox.call({"run", "/dev/null"}), bad_input, {"/dev/null: is empty"});
  check_error(sandbox.call({"run", "/dev/zero"}), bad_input, {"/dev/zero: larger than 16 MiB"});
  if (geteuid() != 0) { // root may read everything
    fs::permissions(sandbox.path("s.json"), fs::perms::none);
    check_error(sandbox.call({"show", "s.json"}), bad_input, {"s.json: cannot be read: Permission denied"});
  }
}

// Whatever is in a file, the program says what is wrong with it and does not break.
TEST_CASE("bad input: scenarios changed at random")
{
  std::mt19937_64 random(20220405);
  const auto draw = [&](std::size_t below) { return static_cast<std::size_t>(random() % below); };
  const std::vector<json> others{nullptr,         true,  0, 17, -1, 0.5, 1e300, "", "x", json::array(), json::object(),
                                 {{"base", "x"}}, {1, 2}};
  const std::vector<json> scenarios{palm(), palm_in_full()};
  const Sandbox sandbox;
  std::set<int> codes;
  for (int round = 0; round < 160; ++round) {
    json scenario          = scenarios[draw(2)];
    std::string text       = "";
    const auto all         = places(scenario);
    const std::size_t kind = draw(5);
    if (kind == 2) { // bytes of the text
      text = scenario.dump(1);
      for (std::size_t i = 1 + draw(4); i > 0; --i)
        text[draw(text.size())] = static_cast<char>(draw(256));
    } else {
      const auto wanted = [&](const json::json_pointer& place) {
        return kind == 3 ? scenario[place].is_number() : kind == 4 ? scenario[place].is_string() : true;
      };
      json::json_pointer place = all[draw(all.size())];
      while (!wanted(place))
        place = all[draw(all.size())];
      json& value = scenario[place];
      if (kind == 0 && scenario[place.parent_pointer()].is_object())
        scenario[place.parent_pointer()].erase(place.back());
      else if (kind == 3)
        value = value.get<double>() * (draw(2) == 0 ? 1e20 : 1e-20);
      else if (kind == 4)
        value = "";
      else
        value = others[draw(others.size())];
      text = scenario.dump(1);
    }
    sandbox.write("s.json", text);
    const Outcome outcome = sandbox.call({"show", "s.json"});
    INFO("round " << round << ", stderr: " << outcome.err << ", scenario:\n" << text);
    const bool good = !outcome.signalled &&
                      (outcome.code == done || outcome.code == bad_input || outcome.code == cannot_run) &&
                      (outcome.code == done ? outcome.err.empty() : outcome.err.starts_with("podsim: "));
    CHECK(good);
    codes.insert(outcome.code);
  }
  CHECK(codes.contains(done));
  CHECK(codes.contains(bad_input));
}
