// `podsim validate` as a user meets it, and its result that is checked in.

#include "tests/support/published_scenario.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fmt/format.h>
#include <set>
#include <thread>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

// Fields of a line without quotes.
std::vector<std::string> fields(const std::string& line)
{
  std::vector<std::string> all;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');)
    all.push_back(field);
  return all;
}

} // namespace

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
