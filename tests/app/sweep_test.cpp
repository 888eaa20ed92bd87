// `podsim sweep` and `results`: what comes of a study, and that neither kill -9, Ctrl-C, a full disk nor another
// process loses or repeats a result.

#include "reports/json.hpp"
#include "scenarios/scenario.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "tests/support/studies.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <pty.h>
#include <random>
#include <sstream>
#include <sys/file.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;
using namespace std::chrono_literals;

TEST_CASE("sweep: what cannot be is counted by reason, left out is counted, and the same bytes come with any workers")
{
  const Sandbox box;
  box.write("study.json",
            study({{{"path", "workload.batch"}, {"values", {100, 512, 65536, 131072}}},
                   {{"path", "workload.remat"}, {"values", {"full", "none"}}},
                   {{"path", "mesh.model.size"}, {"values", {4, 8}}}},
                  {{"constraints", {"not (batch == 512 and remat == 'none')"}}, {"metrics", {"mfu", "memory"}}}));
  Outcome first;
  std::string csv;
  for (const char* workers : {"1", "2", "5"}) {
    const Outcome out = box.call({"sweep", "study.json", "--workers", workers, "--db", std::string("db") + workers,
                                  "--list-failures", "--csv", std::string("csv") + workers});
    INFO(out.err);
    CHECK(out.code == done);
    if (first.out.empty())
      first = out;
    CHECK(out.out == first.out);
    CHECK(read_text(box.path(std::string("csv") + workers)) == read_text(box.path("csv1")));
  }
  INFO(first.out);
  CHECK_THAT(first.out, Catch::Contains("14 combinations: "));
  CHECK_THAT(first.out, Catch::Contains("left out 2: not (batch == 512 and remat == 'none')"));
  CHECK_THAT(first.out, Catch::Contains(" not fitting in memory"));
  CHECK_THAT(first.out, Catch::Contains("100, full, 4: input: workload.batch: 100 sequences"));
  CHECK(stored(box.path("db1")) == 14);
  check_none_twice(box.path("db1"));

  // Once more: nothing is simulated, the table is the same; and so it is from the file alone.
  CHECK(box.call({"sweep", "study.json", "--db", "db1", "--list-failures"}).out == first.out);
  check_none_twice(box.path("db1"));
  std::filesystem::remove(box.path("study.json"));
  CHECK(box.call({"results", "db1", "--list-failures"}).out == first.out);

  const Outcome lines = box.call({"results", "db1", "--json", "-"});
  std::istringstream stream(lines.out);
  int rows = 0;
  for (std::string line; std::getline(stream, line); ++rows)
    CHECK(json::parse(line).at("settings").size() == 3);
  CHECK(rows == 14);
}

TEST_CASE("sweep: money, energy and days of two prices, without simulating twice")
{
  const Sandbox box;
  const json plan{{"tokens", 1e12}, {"price_per_chip_hour", "2 USD"}, {"pue", 1.1}, {"grid_intensity", "100 kg/MWh"}};
  const json metrics{"chips", "tokens_per_s", "days", "chip_hours", "energy", "co2e", "cost"};
  const json axes{{{"path", "workload.batch"}, {"values", {512}}}};
  box.write("study.json", study(axes, {{"plan", plan}, {"metrics", metrics}}));
  const json row    = json::parse(box.call({"sweep", "study.json", "--json", "-"}).out);
  const double days = 1e12 / row.at("tokens_per_s").get<double>() / 86400;
  CHECK(row.at("days") == Approx(days));
  CHECK(row.at("chip_hours") == Approx(row.at("chips").get<double>() * days * 24));
  CHECK(row.at("energy") == Approx(row.at("chip_hours").get<double>() * 378.5 * 1.1 / 1e6)); // TPU v4's watts
  CHECK(row.at("co2e") == Approx(row.at("energy").get<double>() * 0.1));
  CHECK(row.at("cost") == Approx(row.at("chip_hours").get<double>() * 2));
  CHECK(row.at("currency") == "USD");

  json dearer                   = plan;
  dearer["price_per_chip_hour"] = "3 EUR";
  box.write("study.json", study(axes, {{"plan", dearer}, {"metrics", metrics}}));
  const json again = json::parse(box.call({"sweep", "study.json", "--json", "-"}).out);
  CHECK(again.at("cost").get<double>() == Approx(row.at("cost").get<double>() * 1.5));
  CHECK(stored(box.path("study.sqlite")) == 1);
}

TEST_CASE("sweep: a slip in a single value is told before anything runs; what only does not fit together is a row")
{
  const Sandbox box;
  const auto sweep = [&](const json& axes) {
    box.write("study.json", study(axes));
    return box.call({"sweep", "study.json"});
  };
  const json batch{{"path", "workload.batch"}, {"values", {256, 512}}};
  check_error(sweep({batch, {{"path", "machine.ici.link_bandwidth"}, {"values", {"45 GB/s", "45 GB"}}}}), bad_input,
              {"link_bandwidth \"45 GB\": ", "machine.ici.link_bandwidth"});
  check_error(sweep({batch,
                     {{"name", "how"},
                      {"cases",
                       {{{"label", "as it is"}, {"set", json::object()}},
                        {{"label", "other"}, {"set", {{"workload.bach", 512}}}}}}}}),
              bad_input, {"how \"other\": workload: unknown key \"bach\"; did you mean \"batch\"?"});
  // What is wrong in the base is not laid at the door of an axis.
  box.write("base.json", {{"base", source + "/scenarios/training/palm-8b.json"}, {"workload", {{"bach", 1}}}});
  box.write("study.json", study(json::array({batch}), {{"scenario", "base.json"}}));
  const Outcome base = box.call({"sweep", "study.json"});
  check_error(base, bad_input, {"study.json: ", "base.json: workload: unknown key \"bach\""});
  CHECK_THAT(base.err, !Catch::Contains("batch \"256\""));
  // Figures of a plan are asked for in vain without one.
  box.write("study.json", study(json::array({batch})));
  check_error(box.call({"sweep", "study.json", "--sort", "days"}), bad_input, {"--sort", "\"plan\" with \"tokens\""});
  CHECK_FALSE(fs::exists(box.path("study.sqlite")));
  const Outcome uneven = sweep({{{"path", "workload.batch"}, {"values", {256, 257}}}});
  CHECK(uneven.code == done);
  CHECK_THAT(uneven.out, Catch::Contains("1 ran, 1 inconsistent"));
}

TEST_CASE("sweep: mistakes in a study are answered in one line, with the place and the nearest name")
{
  const Sandbox box;
  const json axes{{{"path", "workload.batch"}, {"values", {512}}}};
  const auto wrong = [&](const json& made, const Words& words) {
    box.write("study.json", made);
    check_error(box.call({"sweep", "study.json"}), bad_input, words);
    CHECK_FALSE(fs::exists(box.path("study.sqlite"))); // nothing is stored of it
  };
  wrong(study(axes, {{"metricks", 1}}), {"study.json: unknown key \"metricks\"", "did you mean \"metrics\""});
  wrong(study(axes, {{"metrics", {"mfi"}}}), {"study.json: metrics[0]", "\"mfi\"", "did you mean \"mfu\""});
  wrong(study(axes, {{"metrics", {"cost"}}}), {"metrics", "\"cost\" needs a \"plan\" with \"tokens\""});
  wrong(study(axes, {{"plan", {{"tokens", 1e9}, {"price_per_chip_hour", 3}}}, {"metrics", {"cost"}}}),
        {"plan.price_per_chip_hour", "expected"});
  wrong(study({{{"path", "workload.bach"}, {"values", {512}}}}), {"\"bach\"", "did you mean \"batch\""});
  wrong(study({{{"path", "workloads.batch"}, {"values", {512}}}}),
        {"study.json", "workloads", "did you mean \"workload\""});
  wrong(study({{{"path", "workload.batch"}, {"value", {512}}}}), {"study.json: axes[0]", "values"});
  wrong(study({{{"zip", {{"workload.batch", {512}}, {"workload.sequence", {1, 2}}}}}}), {"axes[0].zip", "2 values"});
  wrong(study({{{"path", "model"}, {"values", {"palm-8c"}}}}), {"palm-8c", "did you mean \"palm-8b\""});
  wrong(study(axes, {{"constraints", {"batc > 1"}}}), {"constraints[0]", "\"batc\""});
  wrong(study(axes, {{"constraints", {"batch > 1000"}}}), {"leave no combination"});
  wrong(study(axes, {{"scenario", nullptr}}), {"\"scenario\" is missing"});
  wrong(study(axes, {{"scenario", "nowhere.json"}}), {"nowhere.json", "no such file"});

  box.write("study.json", study(axes));
  check_error(box.call({"sweep", "study.json", "--shard", "3/2"}), bad_input, {"--shard", "\"3/2\""});
  check_error(box.call({"sweep", "study.json", "--sort", "mfo"}), bad_input, {"--sort", "did you mean \"mfu\""});
  check_error(box.call({"sweep", "study.json", "--pareto", "mfu"}), bad_input, {"--pareto", "two or more"});
  check_error(box.call({"compare", "study.json"}), bad_input, {"podsim sweep study.json"});
  check_error(box.call({"sweep", source + "/scenarios/studies/palm-pods.json"}), bad_input, {"podsim compare"});
  check_error(box.call({"sweep", source + "/scenarios/training/palm-8b.json"}), bad_input, {"podsim run"});
  box.write("text.sqlite", std::string(5000, 'x'));
  check_error(box.call({"sweep", "study.json", "--db", "text.sqlite"}), bad_input,
              {"text.sqlite", "not an SQLite file"});
  check_error(box.call({"results", "none.sqlite"}), bad_input, {"none.sqlite", "no such file"});
  check_error(box.call({"sweep", "study.json", "--db", "no/such/folder.sqlite"}), bad_input, {"no/such/folder.sqlite"});
}

namespace {

void end_while_running(pid_t process, std::chrono::microseconds after, int signal)
{
  std::this_thread::sleep_for(after);
  kill(process, signal);
}

} // namespace

TEST_CASE("sweep: killed at random moments it goes on, loses nothing, repeats nothing, and ends in the same table")
{
  const Sandbox box;
  box.write("study.json", many_links(1500));
  const Outcome undisturbed = box.call({"sweep", "study.json", "--db", "whole.sqlite", "--csv", "whole.csv"});
  REQUIRE(undisturbed.code == done);

  std::mt19937 random(20240601);
  std::int64_t before = 0;
  int kills           = 0;
  Outcome last;
  for (; kills < 40; ++kills) {
    const std::chrono::microseconds after(std::uniform_int_distribution<int>(1'000, 400'000)(random));
    last = call({"sweep", "study.json", "--db", "killed.sqlite", "--csv", "killed.csv"},
                {.directory = fs::path(box.path("study.json")).parent_path().string(),
                 .meanwhile = [&](pid_t process) { end_while_running(process, after, SIGKILL); }});
    if (!last.signalled)
      break;
    if (!fs::exists(box.path("killed.sqlite")))
      continue;
    // Whatever it was doing, what it left can be read.
    const Outcome table = box.call({"results", "killed.sqlite", "--quiet"});
    INFO(table.err);
    CHECK((table.code == done || table.err.find("is empty") != std::string::npos ||
           table.err.find("holds no study yet") != std::string::npos));
    const std::int64_t now = std::max<std::int64_t>(stored(box.path("killed.sqlite")), 0);
    CHECK(now >= before);
    before = now;
  }
  INFO(last.err);
  if (last.signalled) // a machine so slow that it was killed each time
    last = box.call({"sweep", "study.json", "--db", "killed.sqlite", "--csv", "killed.csv"});
  CHECK(kills > 0);
  CHECK(last.code == done);
  CHECK(last.out == undisturbed.out);
  CHECK(read_text(box.path("killed.csv")) == read_text(box.path("whole.csv")));
  CHECK(stored(box.path("killed.sqlite")) == 1500);
  check_none_twice(box.path("killed.sqlite"));
}

namespace {

struct Watched {
  std::string seen;
  int status = 0;
};

// A bare chroot has no /dev/pts.
bool have_terminals()
{
  int terminal = -1, other_end = -1;
  if (openpty(&terminal, &other_end, nullptr, nullptr, nullptr) != 0) {
    WARN("skipped: no pseudo-terminal is to be had here (a chroot without /dev/pts?)");
    return false;
  }
  close(terminal);
  close(other_end);
  return true;
}

// A sweep on a terminal of its own; `disturb` gets the terminal and the process group when some scenarios have ended.
Watched watch_sweep(const Sandbox& box, const char* engine,
                    const std::function<void(int terminal, pid_t group)>& disturb)
{
  Watched watched;
  int terminal        = -1;
  const pid_t process = forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(process >= 0);
  if (process == 0) {
    execl(PODSIM_PROGRAM, PODSIM_PROGRAM, "sweep", box.path("study.json").c_str(), "--db",
          box.path("study.sqlite").c_str(), "--engine", engine, nullptr);
    _exit(127);
  }
  std::string block(4096, '\0');
  bool disturbed = false;
  for (;;) {
    const ssize_t got = ::read(terminal, block.data(), block.size());
    if (got <= 0)
      break;
    watched.seen.append(block, 0, static_cast<std::size_t>(got));
    if (!disturbed && watched.seen.find("] 2") != std::string::npos) {
      disturbed = true;
      disturb(terminal, process);
    }
  }
  waitpid(process, &watched.status, 0);
  close(terminal);
  return watched;
}

void press_ctrl_c(int terminal, pid_t)
{
  REQUIRE(write(terminal, "\x03", 1) == 1);
}

} // namespace

TEST_CASE("sweep: Ctrl-C on a terminal stores what is in flight and says how to go on; there is a progress bar")
{
  if (!have_terminals())
    return;
  const Sandbox box;
  box.write("study.json", many_links(400));
  const std::string database = box.path("study.sqlite");
  const auto [seen, status]  = watch_sweep(box, "heap", press_ctrl_c);
  INFO(seen.substr(seen.size() > 600 ? seen.size() - 600 : 0));
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == was_interrupted);
  CHECK_THAT(seen, Catch::Contains("sweeping [") && Catch::Contains("/s, ") && Catch::Contains(" s left"));
  const std::int64_t kept = stored(database);
  CHECK(kept > 0);
  CHECK(kept < 400);
  CHECK_THAT(seen, Catch::Contains(fmt::format("interrupted: {} of 400 scenarios are stored", kept)) &&
                       Catch::Contains("the same command again"));
  const Outcome rest = box.call({"sweep", "study.json"});
  CHECK(rest.code == done);
  CHECK_THAT(rest.err, Catch::Contains(fmt::format("{} of 400 scenarios are still to be simulated", 400 - kept)));
  CHECK_THAT(rest.err, Catch::Contains("podsim: sweeping: ")); // plain lines where there is no terminal
  CHECK(rest.err.find('\r') == std::string::npos);
  CHECK_THAT(rest.err, Catch::Contains(fmt::format(
                           "of {} scenarios were simulated on SimGrid as well: the same to the bit", 400 - kept)));
  check_none_twice(database);
}

TEST_CASE("sweep: an interrupt lets what simulates in children of its own finish as well, a SIGTERM to the group too")
{
  if (!have_terminals())
    return;
  const Sandbox box;
  json slow = many_links(40);
  slow["axes"].push_back({{"path", "faults"}, // each of these simulates several times, in further processes
                          {"values", {{{"chips", {{{"at", 0}, {"compute", 0.9}}, {{"at", 1}, {"compute", 0.8}}}}}}},
                          {"name", "faulty"}});
  box.write("study.json", slow);
  const bool terminate      = GENERATE(false, true);
  const auto [seen, status] = watch_sweep(box, "simgrid", [&](int terminal, pid_t group) {
    if (terminate)
      kill(-group, SIGTERM);
    else
      press_ctrl_c(terminal, group);
  });
  INFO(seen.substr(seen.size() > 600 ? seen.size() - 600 : 0));
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == was_interrupted);
  const std::int64_t kept = stored(box.path("study.sqlite"));
  CHECK(kept >= 2);
  CHECK(kept < 40);
  CHECK(number_of(box.path("study.sqlite"), "SELECT count(*) FROM results WHERE status <> 'ok'") == 0);
  const Outcome rest = box.call({"sweep", "study.json"});
  CHECK(rest.code == done);
  CHECK_THAT(rest.out, Catch::Contains("40 combinations: 40 ran"));
  check_none_twice(box.path("study.sqlite"));
}

TEST_CASE("sweep: a file that another study takes over says so, and results of another build are not this one's")
{
  const Sandbox box;
  box.write("study.json", study({{{"path", "workload.batch"}, {"values", {256, 512}}}}));
  REQUIRE(box.call({"sweep", "study.json"}).code == done);
  CHECK(box.call({"sweep", "study.json"}).err.empty()); // nothing is left to do, and nothing to say
  box.write("other.json", study({{{"path", "workload.batch"}, {"values", {256}}}}, {{"name", "another"}}));
  CHECK_THAT(box.call({"sweep", "other.json", "--db", "study.sqlite"}).err,
             Catch::Contains("study.sqlite: was about \"a study\" so far"));
  CHECK(stored(box.path("study.sqlite")) == 2); // the batch of 256 was there
  doctor(box.path("study.sqlite"), "UPDATE results SET podsim_version = '0.1.0+00000000, SimGrid 3.32'");
  REQUIRE(box.call({"sweep", "study.json"}).code == done);
  CHECK(stored(box.path("study.sqlite")) == 4);
  CHECK_FALSE(fs::exists(box.path("study.sqlite-journal")));
}

TEST_CASE("sweep: two processes on one file wait for each other, and say so")
{
  const Sandbox box;
  box.write("study.json", many_links(2));
  REQUIRE(box.call({"sweep", "study.json"}).code == done);
  const int held = open(box.path("study.sqlite").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(flock(held, LOCK_EX) == 0);
  const auto said = [&](const std::string& words) {
    return fs::exists(box.path("said")) && read_text(box.path("said")).find(words) != std::string::npos;
  };
  const auto let_go = [&](pid_t) {
    for (int i = 0; i < 3000 && !said("waiting"); ++i) // however long it takes to start
      std::this_thread::sleep_for(10ms);
    flock(held, LOCK_UN);
  };
  const Outcome waited =
      run_program("/bin/sh", {"-c", "exec \"$0\" sweep study.json 2> said", PODSIM_PROGRAM},
                  {.directory = fs::path(box.path("study.json")).parent_path().string(), .meanwhile = let_go});
  CHECK(waited.code == done);
  CHECK(said("another podsim is writing to it; waiting"));
  REQUIRE(flock(held, LOCK_EX) == 0);
  const Outcome refused = box.call({"sweep", "study.json"});
  close(held);
  CHECK(refused.code == bad_input);
  CHECK_THAT(refused.err, Catch::Contains("still writing to it") && Catch::Contains("--db"));
}

TEST_CASE("sweep: a read-only file and a full disk are clear errors, and what was done is kept")
{
  const Sandbox box;
  constexpr int links = 6000; // which take longer than one transaction
  box.write("study.json", many_links(links));
  const std::string folder = fs::path(box.path("study.json")).parent_path().string();
  // A limit on the size of files, in blocks of 512 bytes, stands in for a disk of that size.
  const auto limited = [&](int blocks) {
    const std::string script = fmt::format("trap '' XFSZ; ulimit -f {}; exec \"$0\" sweep study.json", blocks);
    return run_program("/bin/sh", {"-c", script, PODSIM_PROGRAM}, {.directory = folder});
  };
  const Outcome full = limited(4000);
  INFO(full.err);
  CHECK(full.code == bad_input);
  CHECK_THAT(full.err, Catch::Contains("study.sqlite: cannot be written") && Catch::Contains("kept"));
  const std::int64_t kept = stored(box.path("study.sqlite"));
  CHECK(kept > 0);
  CHECK(kept < links);
  const Outcome rest = box.call({"sweep", "study.json"});
  CHECK(rest.code == done);
  CHECK(stored(box.path("study.sqlite")) == links);
  check_none_twice(box.path("study.sqlite"));

  // Read-only: for root nothing is, so that it is somebody else who tries.
  fs::permissions(folder, fs::perms(0755));
  fs::permissions(box.path("study.sqlite"), fs::perms(0444));
  Words words{"sweep", "study.json"};
  std::string program = PODSIM_PROGRAM;
  if (geteuid() == 0) {
    words.insert(words.begin(), {"--reuid=65534", "--regid=65534", "--clear-groups", program});
    program = "/usr/bin/setpriv";
  }
  const Outcome denied = run_program(program, words, {.directory = folder});
  CHECK(denied.code == bad_input);
  CHECK_THAT(denied.err, Catch::Contains("study.sqlite: cannot be written: Permission denied"));
  words.back()        = "study.sqlite";
  *(words.end() - 2)  = "results";
  const Outcome shown = run_program(program, words, {.directory = folder}); // to read it is enough
  CHECK(shown.code == done);
  CHECK(shown.out == rest.out);
}

TEST_CASE("sweep: a time-out and a crash are rows, and can be tried again")
{
  const Sandbox box;
  box.write("study.json",
            study({{{"path", "workload.sequence"}, {"values", {2048}}}},
                  {{"scenario", source + "/scenarios/training/a100/mtnlg530-2240.json"}, {"metrics", {"mfu"}}}));
  const Outcome late = box.call({"sweep", "study.json", "--engine", "simgrid", "--timeout", "0.01", "--list-failures"});
  INFO(late.err);
  CHECK(late.code == cannot_run);
  CHECK_THAT(late.out, Catch::Contains("1 timed out") && Catch::Contains("longer than 0.01 s"));
  CHECK(box.call({"sweep", "study.json"}).code == cannot_run); // it is stored

  // A child of the sweep is ended as the kernel ends one when memory runs out.
  const Outcome killed =
      call({"sweep", "study.json", "--engine", "simgrid", "--retry", "--list-failures"},
           {.directory = fs::path(box.path("study.json")).parent_path().string(), .meanwhile = [](pid_t process) {
              const std::string children = fmt::format("/proc/{0}/task/{0}/children", process);
              for (int i = 0; i < 5000; ++i) {
                std::ifstream stream(children);
                if (pid_t child = 0; stream >> child) {
                  kill(child, SIGKILL);
                  return;
                }
                std::this_thread::sleep_for(1ms);
              }
            }});
  CHECK(killed.code == cannot_run);
  CHECK_THAT(killed.out, Catch::Contains("1 killed") && Catch::Contains("as where memory runs out"));
  CHECK(box.call({"sweep", "study.json", "--retry"}).code == done);
}

TEST_CASE("sweep: the figures of a row are those of its run, to the last bit")
{
  const Sandbox box;
  const json made = study({{{"path", "workload.sequence"}, {"values", {256, 512, 768, 1024}}},
                           {{"path", "workload.batch"}, {"range", {{"from", 64}, {"to", 1280}, {"step", 64}}}}},
                          {{"metrics", {"step_time", "tokens_per_s", "mfu", "hfu", "bubble"}}});
  box.write("study.json", made);
  std::istringstream rows(box.call({"sweep", "study.json", "--json", "-", "--quiet"}).out);
  const Sweep sweep = read(made);
  const Catalogue catalogue(source);
  int count = 0;
  for (std::string line; std::getline(rows, line); ++count) {
    const json row = json::parse(line);
    INFO(line);
    REQUIRE(row["status"] == "ok");
    const Combination one = combination(sweep, row["number"]);
    const json alone      = json::parse(to_json(
             evaluate(read_scenario(resolve(catalogue.find(Shelf::scenarios, one.scenario), one.changes, catalogue)))));
    for (const char* figure : {"tokens_per_s", "mfu", "hfu", "bubble"})
      CHECK(row[figure].get<double>() == alone[figure].get<double>());
    CHECK(row["step_time"].get<double>() == alone["step_time_s"].get<double>());
  }
  CHECK(count == 80);
}
