// `podsim sweep`, `results` and `merge`: what a study expands to, what a planner's figures come to, and that neither
// kill -9, Ctrl-C, a full disk nor another process loses or repeats a result.

#include "reports/json.hpp"
#include "reports/study_table.hpp"
#include "scenarios/constraint.hpp"
#include "scenarios/scenario.hpp"
#include "scenarios/sweep.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "tests/support/sandbox.hpp"

#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <pty.h>
#include <random>
#include <sqlite3.h>
#include <sstream>
#include <sys/file.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;
using namespace std::chrono_literals;

namespace {

json study(const json& axes, const json& patch = json::object())
{
  json made{{"schema_version", 1},
            {"name", "a study"},
            {"scenario", source + "/scenarios/training/palm-8b.json"},
            {"axes", axes},
            {"metrics", {"step_time", "mfu"}}};
  made.merge_patch(patch);
  return made;
}

Sweep read(const json& made)
{
  return read_sweep_text(made.dump(), "study.json");
}

std::vector<std::string> labels(const SweepAxis& axis)
{
  std::vector<std::string> all;
  for (const AxisValue& value : axis.values)
    all.push_back(value.label);
  return all;
}

// So many scenarios that differ in the bandwidth of their links, of some milliseconds each.
json many_links(int count)
{
  return study({{{"path", "machine.ici.link_bandwidth"},
                 {"range", {{"from", 10}, {"to", 9 + count}, {"step", 1}, {"unit", "GB/s"}}}}});
}

// One number that a query on a store gives.
std::int64_t query(const std::string& file, const std::string& text)
{
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
  sqlite3_busy_timeout(database, 5000);
  sqlite3_stmt* statement = nullptr;
  std::int64_t number     = -1;
  if (sqlite3_prepare_v2(database, text.c_str(), -1, &statement, nullptr) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW)
    number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return number;
}

std::int64_t stored(const std::string& file)
{
  return query(file, "SELECT count(*) FROM results");
}

// No scenario was stored twice, not even one that was removed in between: sequences are never used again.
void check_none_twice(const std::string& file)
{
  CHECK(query(file, "SELECT max(sequence) FROM results") == stored(file));
  CHECK(query(file, "SELECT count(DISTINCT hash) FROM results") == stored(file));
}

void end_while_running(pid_t process, std::chrono::microseconds after, int signal)
{
  std::this_thread::sleep_for(after);
  kill(process, signal);
}

} // namespace

TEST_CASE("study: grids, zipped lists, ranges and cases expand to all combinations, the last axis fastest")
{
  const Sweep sweep = read(
      study({{{"path", {"machine.pods", "mesh.pod.size"}}, {"values", {1, 2}}, {"name", "pods"}},
             {{"zip", {{"workload.batch", {512, 1024, 2048}}, {"workload.sequence", {4096, 2048, 1024}}}}},
             {{"cases",
               {{{"label", "A"}}, {{"label", "B"}, {"set", {{"software", "xla-tpu-2023"}}}, {"scenario", "b.json"}}}},
              {"name", "which"}}}));
  REQUIRE(sweep.size() == 2 * 3 * 2);
  CHECK(labels(sweep.axes[1]) == Words{"512, 4096", "1024, 2048", "2048, 1024"});
  CHECK(sweep.axes[1].name == "batch, sequence");
  const Combination first = combination(sweep, 0);
  CHECK(first.labels == Words{"1", "512, 4096", "A"});
  CHECK(first.changes == Words{"machine.pods=1", "mesh.pod.size=1", "workload.batch=512", "workload.sequence=4096"});
  CHECK(first.scenario == source + "/scenarios/training/palm-8b.json");
  const Combination ninth = combination(sweep, 9); // 1 x 6 + 1 x 2 + 1
  CHECK(ninth.labels == Words{"2", "1024, 2048", "B"});
  CHECK(ninth.changes.back() == "software=\"xla-tpu-2023\"");
  CHECK(ninth.scenario == "b.json");

  const auto range = [](const json& given) {
    return labels(read(study({{{"path", "workload.batch"}, {"range", given}}})).axes[0]);
  };
  CHECK(range({{"from", 512}, {"to", 2048}, {"step", 512}}) == Words{"512", "1024", "1536", "2048"});
  CHECK(range({{"from", 1}, {"to", 100}, {"factor", 10}}) == Words{"1", "10", "100"});
  CHECK(range({{"from", 1}, {"to", 99}, {"factor", 10}}) == Words{"1", "10"});
  CHECK(range({{"from", 0.1}, {"to", 0.4}, {"step", 0.1}}) == Words{"0.1", "0.2", "0.3", "0.4"});
  CHECK(range({{"from", 10}, {"to", 25}, {"step", 7.5}, {"unit", "GB/s"}}) == Words{"10 GB/s", "17.5 GB/s", "25 GB/s"});
}

TEST_CASE("study: constraints")
{
  const Lookup lookup = [](const std::string& name) -> std::optional<Term> {
    if (name == "machine.pods")
      return 2.0;
    if (name == "slice")
      return std::string("12x16x16");
    if (name == "link")
      return std::string("45 GB/s");
    if (name == "grid")
      return std::string("79 g/kWh");
    if (name == "odd")
      return as_term("nan");
    if (name == "endless")
      return as_term("inf");
    return {};
  };
  for (const char* condition :
       {"machine.pods == 2", "1 + 2 * 3 == 7", "(1 + 2) * 3 == 9", "7 % 4 == 3",
        "product(slice) * machine.pods == 6144", "slice == '12x16x16'", "link > '44 GB/s' and link < '0.5 Tb/s'",
        "link == '45000 MB/s'", "not 1 > 2", "1 > 2 or 2 > 1 and 3 > 2", "-1 < 0", "10 - 2 - 3 == 5",
        "link != '46 GB/s'", "1/2==.5",
        // The same quantity in another unit, though 79 / 1000 and 0.079 are not the same double.
        "grid == '0.079 kg/kWh'", "grid == '0.079 t/MWh'", "grid == '79 kg/MWh'", "grid <= '0.079 kg/kWh'",
        "grid >= '0.079 kg/kWh'", "grid < '0.0791 t/MWh'", "grid != '80 g/kWh'", "odd == 'nan'", "odd != 'inf'"})
    CHECK(holds(condition, lookup));
  for (const char* condition :
       {"machine.pods != 2", "slice == '16x16'", "1 > 2 and 2 > 1", "not (1 < 2)", "grid != '0.079 kg/kWh'",
        "grid < '0.079 kg/kWh'", "grid > '0.079 kg/kWh'", "odd == 'inf'"})
    CHECK_FALSE(holds(condition, lookup));
  for (const char* condition :
       {"", "1", "1 +", "(1 < 2", "pods > 1", "slice > 3", "1 < 2 3", "'a", "link < '1 GB'", "and",
        // What is silently false is worse than wrong.
        "odd < 1", "odd > 1", "odd == 1", "endless > 1", "endless == 1", "1e308 * 10 > 1",
        "0 < 1e308 * 10 - 1e308 * 10", "link == '79 g/kWh'", "grid != '45 GB/s'"})
    CHECK_THROWS_AS(holds(condition, lookup), std::invalid_argument);
}

TEST_CASE("study: a planner's figures, by hand")
{
  TrainingPlan plan;
  plan.tokens         = 864e9;
  plan.price          = 2;
  plan.pue            = 1.2;
  plan.grid_intensity = GridIntensity(0.5); // t/MWh
  Figures figures{{"tokens_per_s", 1e6}, {"chips", 100}, {"power", 500}, {"pue", 1.9}};
  add_planned(plan, figures);
  CHECK(figures["days"] == Approx(10));           // 864e9 / 1e6 = 864e3 s
  CHECK(figures["chip_hours"] == Approx(24'000)); // 100 x 240 h
  CHECK(figures["energy"] == Approx(14.4));       // 24,000 h x 500 W x 1.2 = 14.4e6 Wh
  CHECK(figures["co2e"] == Approx(7.2));
  CHECK(figures["cost"] == Approx(48'000));

  // PaLM's own record (appendix B): 1200 h on 6144 chips and 336 h on 3072, 378.5 W, PUE 1.08, 0.079 t/MWh: 271.43 t.
  double tonnes = 0;
  for (const auto& [hours, chips] : {std::pair(1200.0, 6144.0), std::pair(336.0, 3072.0)}) {
    Figures part{{"tokens_per_s", 1e6}, {"chips", chips}, {"power", 378.5}};
    TrainingPlan of_palm;
    of_palm.tokens         = hours * 3600 * 1e6;
    of_palm.pue            = 1.08;
    of_palm.grid_intensity = parse_quantity<GridUnit>("79 g/kWh");
    add_planned(of_palm, part);
    tonnes += part["co2e"];
  }
  CHECK(tonnes == Approx(271.43).epsilon(0.001));

  Figures without{{"tokens_per_s", 1e6}, {"chips", 100}};
  add_planned(plan, without);
  CHECK_FALSE(without.contains("energy"));
  CHECK(without.contains("cost"));
}

TEST_CASE("study table: sorted best first, cut, and the front marked")
{
  const auto table = [] {
    StudyTable made;
    made.axes      = {"n"};
    made.metrics   = {"days", "cost", "mfu"};
    const auto row = [&](double days, double cost, double mfu) {
      StudyRow& one = made.rows.emplace_back();
      one.number    = made.rows.size() - 1;
      one.settings  = {std::to_string(one.number)};
      one.status    = Status::ok;
      one.figures   = {{"days", days}, {"cost", cost}, {"mfu", mfu}};
    };
    row(10, 100, .5);
    row(20, 50, .4);
    row(20, 60, .6); // beaten by the one before in days and cost
    row(5, 200, .3);
    made.rows.emplace_back(StudyRow{4, {"4"}, Status::memory, "too large", {}});
    row(10, 100, .45); // as good as the first: both are on the front
    return made;
  };
  const auto numbers = [](const StudyTable& made) {
    std::vector<std::size_t> all;
    for (const StudyRow& row : made.rows)
      all.push_back(row.number);
    return all;
  };
  StudyTable made = table();
  arrange(made, {.sort = "cost", .pareto = {"days", "cost"}});
  CHECK(numbers(made) == std::vector<std::size_t>{1, 2, 0, 5, 3, 4});
  std::vector<std::size_t> front;
  for (const StudyRow& row : made.rows)
    if (row.on_front)
      front.push_back(row.number);
  CHECK(front == std::vector<std::size_t>{1, 0, 5, 3});
  made = table();
  arrange(made, {.sort = "mfu", .top = 2});
  CHECK(numbers(made) == std::vector<std::size_t>{2, 0, 4}); // what could not run is not counted as a row
  CHECK(made.counts == std::vector<std::pair<Status, std::size_t>>{{Status::ok, 5}, {Status::memory, 1}});
  made = table();
  CHECK_THROWS_WITH(arrange(made, {.sort = "dys"}), Catch::Contains("did you mean \"days\""));
}

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

TEST_CASE("sweep: an axis may go into what an earlier one has set, but not over it; units are compared with units")
{
  const json chips{{"path", "machine.chip"}, {"values", {"tpu-v4"}}, {"name", "chip"}};
  const json hbm{{"path", "machine.chip.hbm_bandwidth"}, {"values", {"1 TB/s"}}, {"name", "HBM"}};
  const json batch{{"path", "workload.batch"}, {"values", {256}}, {"name", "first"}};
  json again    = batch;
  again["name"] = "second";
  CHECK(read(study({chips, hbm})).size() == 1);
  CHECK_THROWS_WITH(read(study({hbm, chips})), Catch::Contains("machine.chip.hbm_bandwidth again, which the axis "
                                                               "\"HBM\" has set"));
  CHECK_THROWS_WITH(read(study({batch, again})), Catch::Contains("axes[1]: sets workload.batch again"));
  again = {{"path", "workload.batch"}, {"values", {256}}, {"name", "mfu"}};
  CHECK_THROWS_WITH(read(study(json::array({again}))), Catch::Contains("\"mfu\" is a column"));

  const Lookup lookup = [](const std::string& name) -> std::optional<Term> {
    return name == "ICI link" ? std::optional<Term>(std::string("45 GB/s")) : std::nullopt;
  };
  CHECK(holds("\"ICI link\" > '44 GB/s'", lookup));
  CHECK(holds("\"ICI link\" / '9 GB/s' == 5", lookup));
  CHECK_THROWS_WITH(holds("\"ICI link\" > 44", lookup), Catch::Contains("a number that has no unit"));
  CHECK_THROWS_WITH(holds("1 / 0 > 0", lookup), Catch::Contains("divides by 0"));
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
Watched watch_sweep(const Sandbox& box, const std::function<void(int terminal, pid_t group)>& disturb)
{
  Watched watched;
  int terminal        = -1;
  const pid_t process = forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(process >= 0);
  if (process == 0) {
    execl(PODSIM_PROGRAM, PODSIM_PROGRAM, "sweep", box.path("study.json").c_str(), "--db",
          box.path("study.sqlite").c_str(), nullptr);
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
  const auto [seen, status]  = watch_sweep(box, press_ctrl_c);
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
  const auto [seen, status] = watch_sweep(box, [&](int terminal, pid_t group) {
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
  CHECK(query(box.path("study.sqlite"), "SELECT count(*) FROM results WHERE status <> 'ok'") == 0);
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
  query(box.path("study.sqlite"), "UPDATE results SET podsim_version = '0.1.0+00000000, SimGrid 3.32'");
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

TEST_CASE("merge: shards joined are an undisturbed run; mixtures are refused")
{
  const Sandbox box;
  box.write("study.json", many_links(20));
  const Outcome whole = box.call({"sweep", "study.json"});
  for (const char* shard : {"1/3", "2/3", "3/3"})
    CHECK(box.call({"sweep", "study.json", "--shard", shard, "--quiet"}).code == done);
  CHECK(stored(box.path("study.2-of-3.sqlite")) == 7); // numbers 1, 4, ... 19
  const Outcome part = box.call({"results", "study.1-of-3.sqlite"});
  CHECK_THAT(part.out, Catch::Contains("13 more in other shards"));
  const std::string a  = "study.1-of-3.sqlite";
  const std::string b  = "study.2-of-3.sqlite";
  const std::string c  = "study.3-of-3.sqlite";
  const Outcome merged = box.call({"merge", a, b, c, "--db", "merged.sqlite"});
  INFO(merged.err);
  CHECK(merged.code == done);
  CHECK(box.call({"results", "merged.sqlite"}).out == whole.out);
  check_none_twice(box.path("merged.sqlite"));

  check_error(box.call({"merge", a, c, "--db", "part.sqlite"}), cannot_run, {"7 of 20", "missing: shard 2 of 3"});
  CHECK(box.call({"sweep", "study.json", "--db", "part.sqlite"}).out == whole.out);
  check_none_twice(box.path("part.sqlite"));

  check_error(box.call({"merge", a, b, "--db", a}), bad_input, {"is one of the shards"});
  box.write("other.json", many_links(19));
  box.call({"sweep", "other.json", "--shard", "2/3", "--quiet"});
  check_error(box.call({"merge", a, "other.2-of-3.sqlite", "--db", "x.sqlite"}), bad_input, {"not as it was"});
  box.call({"sweep", "study.json", "--shard", "2/4", "--quiet"});
  check_error(box.call({"merge", a, "study.2-of-4.sqlite", "--db", "x.sqlite"}), bad_input, {"shard 2 of 4"});
  query(box.path(b), "UPDATE study SET podsim_version = '0.0.1'");
  check_error(box.call({"merge", a, b, "--db", "x.sqlite"}), bad_input, {"podsim 0.0.1", "one version"});
  CHECK_FALSE(fs::exists(box.path("x.sqlite")));
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

TEST_CASE("sweep: the studies that come with podsim print what the README shows")
{
  const Sandbox box;
  const std::string readme = read_text(source + "/README.md");
  const std::vector<std::pair<std::string, Words>> studies{
      {"palm-pods-and-batch", {"--sort", "days", "--pareto", "days,cost"}},
      {"palm-meshes", {}},
      {"palm-ici-bandwidth", {}},
      {"palm-62b-on-a100", {}}};
  for (const auto& [name, options] : studies) {
    Words words{"sweep", fmt::format("{}/scenarios/studies/{}.json", source, name)};
    words.insert(words.end(), options.begin(), options.end());
    const Outcome out = box.call(words);
    INFO(name << out.err);
    CHECK(out.code == done);
    std::istringstream lines(out.out.substr(out.out.find("\n\n") + 2)); // below its name and question
    int rows = 0;
    for (std::string line; std::getline(lines, line); ++rows)
      CHECK_THAT(readme, Catch::Contains(line.empty() ? "" : "\n    " + line + "\n"));
    CHECK(rows > 10);
  }
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
    const json alone      = json::parse(to_json(evaluate(read_scenario(resolve(one, "study.json", catalogue)))));
    for (const char* figure : {"tokens_per_s", "mfu", "hfu", "bubble"})
      CHECK(row[figure].get<double>() == alone[figure].get<double>());
    CHECK(row["step_time"].get<double>() == alone["step_time_s"].get<double>());
  }
  CHECK(count == 80);
}
