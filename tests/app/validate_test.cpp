// `podsim validate` and `podsim compare` as a user meets them, and the result of the one that is checked in.

#include "sim/evaluate/evaluate.hpp"
#include "tests/support/sandbox.hpp"
#include "tests/support/small_scenario.hpp"

#include <cmath>
#include <csignal>
#include <fmt/format.h>
#include <set>
#include <thread>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

json published_figure(const std::string& id, const json& patch = json::object())
{
  json made{{"id", id},
            {"metric", "mfu"},
            {"value", 46.2},
            {"unit", "%"},
            {"convention", "palm"},
            {"statistic", "unstated"},
            {"calibration", false},
            {"source", "made up"}};
  made.merge_patch(patch);
  return made;
}

json scenario(const std::vector<json>& published, const json& patch = json::object())
{
  json made = json::parse(read_text(source + "/scenarios/training/palm-8b.json"));
  made.erase("note");
  made["published"] = published;
  made.merge_patch(patch);
  return made;
}

// Fields of a line without quotes.
std::vector<std::string> fields(const std::string& line)
{
  std::vector<std::string> all;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');)
    all.push_back(field);
  return all;
}

json run_json(const std::string& file)
{
  return json::parse(call({"run", file, "--json", "-"}).out);
}

Metrics small_metrics()
{
  const Prepared prepared = test::prepare({});
  SimulationOptions options;
  return *evaluate(prepared, {options}).metrics;
}

} // namespace

TEST_CASE("each convention counts the FLOPs that its source counts")
{
  const Metrics m = small_metrics();
  // tiny: 3 layers of 192 channels, 24 heads of 16, 64 tokens a sequence, vocabulary 1000; 64 chips of 100 TFLOP/s.
  const double n         = m.model.active_parameters;
  const double attention = 12.0 * 3 * 24 * 16 * 64;
  const double narayanan = 96.0 * 3 * 192 * 192 * (1 + 64.0 / (6 * 192) + 1000.0 / (16 * 3 * 192));
  const auto per_token   = [&](Counting counting) { return m.flops.counted(counting); };
  CHECK(per_token(Counting::palm) == Approx(6 * n + attention));
  CHECK(per_token(Counting::six_n) == Approx(6 * n));
  CHECK(per_token(Counting::six_n_causal) == Approx(6 * n + attention / 2));
  CHECK(per_token(Counting::two_n) == Approx(2 * n));
  CHECK(per_token(Counting::eight_n) == Approx(8 * n));
  CHECK(per_token(Counting::narayanan) == Approx(narayanan));
  CHECK(per_token(Counting::palm_hardware) > per_token(Counting::palm)); // full remat

  const double rate = m.tokens_per_s / 64; // of a chip
  CHECK(test::value_of("tokens_per_s_per_chip", m, Counting::none) == Approx(rate));
  CHECK(test::value_of("sequences_per_s", m, Counting::none) == Approx(m.tokens_per_s / 64));
  CHECK(test::value_of("sequences_per_s_per_chip", m, Counting::none) == Approx(rate / 64));
  CHECK(test::value_of("mfu", m, Counting::palm) == Approx(m.mfu));
  CHECK(test::value_of("mfu", m, Counting::six_n) == Approx(m.mfu_without_attention));
  CHECK(test::value_of("hfu", m, Counting::executed) == Approx(m.hfu));
  CHECK(test::value_of("hfu", m, Counting::palm_hardware) == Approx(m.hfu).epsilon(2e-3)); // but for norms' scales
  CHECK(test::value_of("hfu", m, Counting::narayanan) == Approx(rate * narayanan / 100e12));
  CHECK(test::value_of("tflops_per_chip", m, Counting::narayanan) == Approx(rate * narayanan));
  CHECK(test::value_of("model_flops_per_token", m, Counting::two_n) == Approx(2 * n));
  CHECK_FALSE(test::value_of("achieved_bandwidth", m, Counting::none)); // no micro-benchmark
  CHECK(energy_per_token(Watts(200), m) == Approx(200 / rate));
  CHECK_FALSE(energy_per_token({}, m));

  // Three layers fill most of the step, and the backward pass with full remat takes longer than the forward.
  REQUIRE(m.layer_forward);
  REQUIRE(m.layer_backward);
  CHECK(3 * (*m.layer_forward + *m.layer_backward) < m.step_time);
  CHECK(*m.layer_backward > *m.layer_forward);
}

TEST_CASE("families: of the chip, but for what is no training step")
{
  CHECK(chip_family("NVIDIA A100 SXM4 80 GB") == "A100");
  CHECK(chip_family("TPU v4") == "TPU v4");
  CHECK(chip_family("TPU v4i") == "TPU v4i");
  CHECK(usual_family(podsim::figure("mfu"), "TPU v5e") == "TPU v5e");
  CHECK(usual_family(podsim::figure("hardware_flops_per_token"), "TPU v5e") == "FLOPs");
  CHECK(usual_family(podsim::figure("achieved_flops"), "TPU v5e") == "micro-benchmarks");
}

TEST_CASE("errors: figures of one run are one case, and what was fitted is apart")
{
  const auto row = [](const std::string& file, double error, bool calibration = false, const std::string& run = "") {
    PublishedFigure published;
    published.id          = file;
    published.metric      = &podsim::figure("mfu");
    published.value       = 0.5;
    published.family      = "TPU v4";
    published.calibration = calibration;
    published.run         = run;
    return ValidatedFigure{published, file, 0.5 * (1 + error), Status::ok, ""};
  };
  const auto families = family_errors({row("a", 0.02), row("a", -0.04), row("b", 0.09), row("c", 0.5, true),
                                       row("d", 0.01, false, "joined"), row("e", -0.05, false, "joined")});
  REQUIRE(families.size() == 1);
  CHECK(families[0].tests.count == 3);
  CHECK(families[0].tests.mean == Approx((0.03 + 0.09 + 0.03) / 3));
  CHECK(families[0].tests.largest == Approx(0.09));
  CHECK(families[0].calibration.count == 1);
  CHECK(families[0].calibration.mean == Approx(0.5));

  auto ratio               = row("a", 0.1);
  ratio.figure.relative_to = "b";
  const auto with_ratio    = family_errors({row("a", 0.02), ratio});
  CHECK(with_ratio[0].tests.count == 2); // a ratio is a case of its own
}

TEST_CASE("validate: the checked-in result is that of this program (cmake --build FOLDER --target validation)")
{
  const Outcome fresh = call({"validate", "--json", "-"}, {.limit = std::chrono::seconds(280)});
  CHECK(fresh.code == done);
  const json now  = json::parse(fresh.out);
  const json kept = json::parse(read_text(source + "/scenarios/validation.json"));
  // The last bit of a number may depend on how the program was compiled.
  std::set<std::string> numbers;
  const json flat = now.flatten();
  const json old  = kept.flatten();
  CHECK(flat.size() == old.size());
  for (const auto& [place, value] : flat.items()) {
    INFO(place);
    REQUIRE(old.contains(place));
    if (value.is_number_float())
      CHECK(value.get<double>() == Approx(old[place].get<double>()).epsilon(1e-9).margin(1e-9));
    else
      CHECK(value == old[place]);
  }
}

TEST_CASE("validate: good scenarios beside some that cannot run, in any number of processes")
{
  const Sandbox sandbox;
  sandbox.write("s/good.json",
                scenario({published_figure("GOOD-MFU"), published_figure("GOOD-RATE", {{"metric", "tokens_per_s"},
                                                                                       {"value", 1e6},
                                                                                       {"unit", "tokens/s"},
                                                                                       {"convention", "none"}})}));
  sandbox.write("s/fitted.json",
                scenario({published_figure("FITTED", {{"calibration", true}})}, {{"workload", {{"batch", 256}}}}));
  sandbox.write("s/ratio.json", scenario({published_figure("RATIO", {{"metric", "tokens_per_s"},
                                                                     {"value", 1.0},
                                                                     {"unit", "x"},
                                                                     {"convention", "none"},
                                                                     {"relative_to", "good.json"}})}));
  sandbox.write("s/unpublished.json", scenario({}));
  const Outcome good = sandbox.call({"validate", "s"});
  CHECK(good.code == done);
  CHECK(good.err.empty());
  CHECK_THAT(good.out, Catch::Contains("GOOD-MFU") && Catch::Contains("calibration") && Catch::Contains("TPU v4") &&
                           !Catch::Contains("unpublished") && !Catch::Contains("\033"));
  CHECK_THAT(good.out, Catch::Contains("tokens/s ratio, x"));

  sandbox.write("s/too-big.json", scenario({published_figure("BIG")},
                                           {{"machine", {{"chip", {{"base", "tpu-v4"}, {"hbm_capacity", "1 GiB"}}}}}}));
  sandbox.write("s/broken.json", scenario({published_figure("BROKEN")}, {{"workload", {{"batch", "many"}}}}));
  sandbox.write("s/lost.json", scenario({published_figure("LOST", {{"unit", "x"}, {"relative_to", "none.json"}})}));
  const Outcome one = sandbox.call({"validate", "s", "--workers", "1", "--json", "a.json", "--csv", "a.csv"});
  const Outcome two = sandbox.call({"validate", "s", "--workers", "2", "--json", "b.json", "--csv", "b.csv"});
  sandbox.call({"validate", "s", "--workers", "4", "--json", "c.json"});
  CHECK(read_text(sandbox.path("a.json")) == read_text(sandbox.path("c.json")));
  CHECK(one.code == cannot_run);
  CHECK(one.out == two.out);
  CHECK(one.err == two.err);
  CHECK(is_one_line(one.err));
  CHECK(read_text(sandbox.path("a.json")) == read_text(sandbox.path("b.json")));
  CHECK(read_text(sandbox.path("a.csv")) == read_text(sandbox.path("b.csv")));
  CHECK_THAT(one.out, Catch::Contains("could not run") && Catch::Contains("too-big.json (memory): needs") &&
                          Catch::Contains("broken.json (input)") && Catch::Contains("none.json"));

  const json all = json::parse(read_text(sandbox.path("a.json")));
  CHECK(all["schema_version"] == 1);
  CHECK(all["failures"].size() == 3);
  json by_id;
  for (const json& row : all["cases"])
    by_id[row["id"].get<std::string>()] = row;
  CHECK(by_id.size() == 6);
  const json own = run_json(sandbox.path("s/good.json"));
  CHECK(by_id["GOOD-MFU"]["predicted"] == Approx(100 * own["mfu"].get<double>()));
  CHECK(by_id["GOOD-MFU"]["relative_error"] == Approx(own["mfu"].get<double>() / 0.462 - 1));
  CHECK(by_id["GOOD-RATE"]["predicted"] == own["tokens_per_s"]);
  CHECK(by_id["GOOD-RATE"]["unit"] == "tokens/s");
  CHECK(by_id["RATIO"]["predicted"] == 1.0); // the same scenario over itself
  CHECK(by_id["RATIO"]["relative_to"] == "good.json");
  CHECK(by_id["BIG"]["status"] == "memory");
  CHECK_FALSE(by_id["BIG"].contains("predicted"));
  CHECK(by_id["LOST"]["status"] == "input");
  REQUIRE(all["families"].size() == 1);
  CHECK(all["families"][0]["family"] == "TPU v4");
  CHECK(all["families"][0]["count"] == 2); // the run and the ratio
  CHECK(all["families"][0]["calibration"]["count"] == 1);

  std::istringstream lines(read_text(sandbox.path("a.csv")));
  std::string line;
  REQUIRE(std::getline(lines, line));
  const auto head = fields(line);
  CHECK(head[0] == "id");
  int rows = 0;
  while (std::getline(lines, line))
    ++rows;
  CHECK(rows == 8); // a figure each, and the two files that could not be read
  const std::string csv = read_text(sandbox.path("a.csv"));
  CHECK_THAT(csv, Catch::Contains("\n,,s/broken.json,,,,,,,,,,,input,") && Catch::Contains("\n,,s/none.json,"));
}

TEST_CASE("validate: other JSON in a folder is passed over and said, a broken scenario is not")
{
  const Sandbox sandbox;
  sandbox.write("s/good.json", scenario({published_figure("GOOD")}));
  sandbox.write("s/model.json", read_text(source + "/models/palm-8b.json"));
  const Outcome one = sandbox.call({"validate", "s"});
  CHECK(one.code == done);
  CHECK(one.err == "podsim: passed over s/model.json, which is no scenario\n");
  CHECK(sandbox.call({"validate", "s", "--quiet"}).err.empty());
  sandbox.write("s/parts/chip.json", read_text(source + "/topologies/chips/tpu-v4.json"));
  sandbox.write("s/result.json", sandbox.call({"run", "s/good.json", "--json", "-"}).out);
  sandbox.write("s/list.json", json::array({1, 2}));
  const Outcome more = sandbox.call({"validate", "s"});
  CHECK(more.code == done);
  CHECK(more.err == "podsim: passed over s/list.json and 3 other files, which are no scenarios\n");
  sandbox.write("s/broken.json", {{"schema_version", 1}, {"name", "b"}, {"model", "palm-8b"}, {"mahcine", "tpu-v4"}});
  sandbox.write("s/torn.json", std::string("{"));
  const Outcome broken = sandbox.call({"validate", "s", "--quiet", "--csv", "-"});
  CHECK(broken.code == cannot_run);
  CHECK_THAT(broken.out, Catch::Contains("s/broken.json") && Catch::Contains("s/torn.json") &&
                             Catch::Contains(",input,") && !Catch::Contains("model.json"));
  fs::create_directories(sandbox.path("none"));
  check_error(sandbox.call({"validate", "none"}), bad_input, {"none: there is no scenario in this folder"});
  sandbox.write("none/model.json", read_text(source + "/models/palm-8b.json"));
  check_error(sandbox.call({"validate", "none"}), bad_input, {"no scenario in this folder", "model.json"});
}

TEST_CASE("validate: what is chosen, and what is mistyped")
{
  const auto ids = [](const Words& words) {
    Words arguments{"validate", "--json", "-"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const Outcome outcome = call(arguments);
    REQUIRE(outcome.code == done);
    const json result = json::parse(outcome.out);
    std::set<std::string> all;
    for (const json& row : result["cases"])
      all.insert(row["id"].get<std::string>());
    return all;
  };
  CHECK(ids({"--filter", "palm-540b-hfu"}) == std::set<std::string>{"PALM-540B-HFU"});
  CHECK(ids({"--family", "TPU v4", "--filter", "scaling"}) == std::set<std::string>{"PALM-540B-2POD-SCALING"});
  check_error(call({"validate", "--family", "TPU v44"}), bad_input, {"did you mean \"TPU v4\"?"});
  check_error(call({"validate", "--filter", "nothing-like-it"}), bad_input, {"no published figure matches"});
  check_error(call({"validate", "--fliter", "x"}), bad_input, {"did you mean \"--filter\"?"});
  check_error(call({"validate", "--workers", "0"}), bad_input, {"--workers"});
  check_error(call({"validate", "--json", "-", "--csv", "-"}), bad_input, {"only one"});
  check_error(call({"validate", source + "/scenarios/training/palm-540b-one-pod.json"}), bad_input,
              {"no \"published\" figures"});
  check_error(call({"validate", source + "/scenarios/training/palm-8c.json"}), bad_input,
              {"did you mean \"palm-8b.json\"?"});
  check_error(call({"validate", "--filter", "PALM-540B-HFU"}, {.output = "/dev/full"}), bad_input, {"standard output"});
  const Outcome slow = call({"validate", "--filter", "mtnlg530-2240", "--timeout", "0.001"});
  CHECK(slow.code == cannot_run);
  CHECK_THAT(slow.out, Catch::Contains("timed out"));
}

TEST_CASE("a metric in a convention that it has not is refused, naming those it has")
{
  const Sandbox sandbox;
  const auto told = [&](const json& patch) {
    sandbox.write("s.json", scenario({published_figure("X", patch)}));
    return sandbox.call({"run", "s.json"});
  };
  check_error(told({{"convention", "96Bslh2"}}), bad_input, {"convention", "palm, 6N, 6N causal, 2N"});
  check_error(told({{"metric", "hfu"}, {"convention", "6N"}}), bad_input, {"convention", "palm, 8N, 96Bslh2"});
  check_error(told({{"metric", "step_time"}, {"unit", "s"}}), bad_input, {"convention", "one of none"});
  check_error(told({{"relative_to", "other.json"}}), bad_input, {"unit", "one of x"});
  check_error(told({{"family", "TPU v45"}}), bad_input, {"family", "did you mean \"TPU v4\"?"});
  const Outcome ratio = told({{"relative_to", "other.json"}, {"unit", "x"}, {"value", 1.5}});
  CHECK(ratio.code == done);
  CHECK_THAT(ratio.out, Catch::Contains("1.5 x   of other.json: compared by podsim validate"));
}

TEST_CASE("run: says how far the family of its chip was off")
{
  const std::string file = source + "/scenarios/training/palm-540b.json";
  CHECK_THAT(call({"run", file}).out,
             Catch::Contains("  validated TPU v4: ") && Catch::Contains("(podsim validate --family \"TPU v4\")"));
  const json all  = json::parse(read_text(source + "/scenarios/validation.json"))["families"];
  const json kept = *std::find_if(all.begin(), all.end(), [](const json& one) { return one["family"] == "TPU v4"; });
  const json bar  = run_json(file)["validation"];
  CHECK(bar["family"] == kept["family"]);
  CHECK(bar["count"] == kept["count"]);
  CHECK(bar["mean_abs_error"] == kept["mean_abs_error"]);
  CHECK_THAT(call({"run", file, "--set", "machine.chip.name=My chip"}).out, Catch::Contains("  validated not: "));
}

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

TEST_CASE("validate: an interrupt says what was done and leaves no process")
{
  const Sandbox sandbox;
  const Outcome outcome =
      call({"validate", "--workers", "1", "--json", sandbox.path("v.json")}, {.meanwhile = [](pid_t program) {
             const auto children = fmt::format("/proc/{0}/task/{0}/children", program);
             for (int i = 0; i < 1000 && read_text(children).empty(); ++i) // until a worker is there
               std::this_thread::sleep_for(std::chrono::milliseconds(5));
             kill(program, SIGINT);
           }});
  CHECK(outcome.code == was_interrupted);
  CHECK_THAT(outcome.err, Catch::Contains("interrupted: ") && Catch::Contains("no file written"));
  CHECK(!fs::exists(sandbox.path("v.json")));
}
