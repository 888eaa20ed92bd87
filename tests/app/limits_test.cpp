// Where a run, a sweep or a validation ends before it is done: its time, an interrupt, a crash, a system that has no
// more files or processes.

#include "tests/support/palm.hpp"
#include "tests/support/sanitizers.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;
using namespace std::chrono_literals;

namespace {

constexpr int internal_error = 70;
constexpr int no_resources   = 71;

// Children of a process that have not been waited for.
std::vector<pid_t> children(pid_t process)
{
  std::ifstream stream(fmt::format("/proc/{0}/task/{0}/children", process));
  std::vector<pid_t> all;
  for (pid_t child = 0; stream >> child;)
    all.push_back(child);
  return all;
}

// Sends a signal to the first child that a process has.
void hit_first_child(pid_t process, int signal)
{
  for (int i = 0; i < 5000; ++i) {
    if (const auto all = children(process); !all.empty()) {
      kill(all.front(), signal);
      return;
    }
    std::this_thread::sleep_for(1ms);
  }
}

// A step that takes a second or so to simulate, and one whose machine takes long to be prepared.
const Words slow_step{"run", "palm-540b", "--explicit", "--granularity", "chunk", "--quiet"};
const std::string many_pods = R"(faults={"jitter": {"seed": 1, "scale": 0.01}})";
const Words slow_to_prepare{"run",   "palm-540b",         "--set",  "machine.pods=256",
                            "--set", "mesh.pod.size=256", "--set",  "workload.batch=65536",
                            "--set", many_pods,           "--quiet"};

json one_row(const std::string& scenario)
{
  return {{"schema_version", 1},
          {"name", "s"},
          {"scenario", scenario},
          {"axes", {{{"path", "workload.sequence"}, {"values", {2048}}}}},
          {"metrics", {"mfu"}}};
}

json many_rows(int count)
{
  return {{"schema_version", 1},
          {"name", "s"},
          {"scenario", "palm-8b"},
          {"axes",
           {{{"path", "machine.ici.link_bandwidth"},
             {"range", {{"from", 10}, {"to", 9 + count}, {"step", 1}, {"unit", "GB/s"}}}}}},
          {"metrics", {"mfu"}}};
}

} // namespace

TEST_CASE("run: --timeout ends it with 3 and a line, while it simulates and while it prepares")
{
  for (const Words& what : {slow_step, slow_to_prepare}) {
    Words words = what;
    words.insert(words.end(), {"--timeout", "0.3"});
    pid_t group           = 0;
    const auto start      = std::chrono::steady_clock::now();
    const Outcome outcome = call(words, {.meanwhile = [&](pid_t program) { group = program; }});
    INFO(what.back());
    check_error(outcome, cannot_run, {"palm-540b: it took longer than 0.3 s"});
    CHECK(outcome.out.empty());
    CHECK(std::chrono::steady_clock::now() - start < 20s);
    for (int i = 0; i < 100 && kill(-group, 0) == 0; ++i)
      std::this_thread::sleep_for(20ms);
    CHECK(kill(-group, 0) != 0); // nothing of it is left
  }
  const Outcome done_in_time = call({"run", "palm-8b", "--timeout", "60"});
  CHECK(done_in_time.code == done);
  CHECK(done_in_time.out.substr(0, done_in_time.out.find("simulated")) == [] {
    const std::string text = call({"run", "palm-8b"}).out;
    return text.substr(0, text.find("simulated"));
  }());
}

TEST_CASE("run: an interrupt while it prepares ends it with 130 and a line")
{
  const Outcome outcome = call(slow_to_prepare, {.meanwhile = [](pid_t program) {
                                 std::this_thread::sleep_for(300ms);
                                 kill(program, SIGINT);
                               }});
  CHECK(outcome.code == was_interrupted);
  CHECK_FALSE(outcome.signalled);
  CHECK(outcome.err == "podsim: interrupted\n");
}

namespace {

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

TEST_CASE("sweep and validate: a crash is told after the table, with 70")
{
  if (under_sanitizers) {
    WARN("skipped: a sanitizer takes the signal that a crash is told by");
    return;
  }
  const Sandbox box;
  box.write("study.json", one_row("a100/mtnlg530-2240"));
  const auto hit         = [](pid_t process) { hit_first_child(process, SIGSEGV); };
  const std::string here = fs::path(box.path("x")).parent_path().string();
  const Outcome swept    = call({"sweep", "study.json", "--workers", "1"}, {.directory = here, .meanwhile = hit});
  INFO(swept.err);
  CHECK(swept.code == internal_error);
  CHECK_THAT(swept.out, Catch::Contains("1 crashed"));
  CHECK_THAT(swept.err, Catch::Contains("a bug of podsim's") && Catch::Contains("signal 11"));
  CHECK(box.call({"sweep", "study.json"}).code == internal_error); // it is stored
  CHECK(box.call({"sweep", "study.json", "--retry"}).code == done);

  const Outcome validated = call({"validate", "a100/mtnlg530-2240", "palm-540b", "--workers", "1", "--csv", "v.csv"},
                                 {.directory = here, .meanwhile = hit});
  CHECK(validated.code == internal_error);
  CHECK_THAT(validated.out, Catch::Contains("PALM-540B-MFU") && Catch::Contains("(crashed)"));
  CHECK_THAT(read_text(box.path("v.csv")), Catch::Contains(",crashed,"));
}

TEST_CASE("no more files: one line, 71, and what was done is kept")
{
  if (under_sanitizers) {
    WARN("skipped: a sanitizer needs files of its own");
    return;
  }
  const Sandbox box;
  box.write("study.json", many_rows(30));
  const auto limited = [&](int files, const std::string& words) {
    return run_program("sh",
                       {"-c", fmt::format("exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; ulimit -n {}; exec '{}' {}", files,
                                          PODSIM_PROGRAM, words)}, // what a test's parent left open is none of its
                       {.directory = fs::path(box.path("x")).parent_path().string()});
  };
  check_error(limited(4, "run palm-8b"), no_resources, {"Too many open files"});
  const Outcome swept = limited(16, "sweep study.json --workers 64 --quiet");
  check_error(swept, no_resources, {"Too many open files", " of 30 scenarios are stored in study.sqlite"});
  CHECK(std::stoi(swept.err.substr(swept.err.find("files; ") + 7)) > 0);
  CHECK(box.call({"sweep", "study.json", "--quiet"}).code == done);
  check_error(limited(12, "validate palm-540b palm-8b palm-62b a100/mpt-7b-8 h100/mpt-13b-16 "
                          "h100/mpt-13b-32 h100/mpt-13b-64 h100/mpt-13b-128 h100/mpt-13b-256 --workers 32 --quiet"),
              no_resources, {"Too many open files", "scenarios done"});
}
