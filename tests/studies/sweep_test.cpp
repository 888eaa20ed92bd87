// What a study expands to.

#include "sim/studies/constraint.hpp"
#include "tests/support/first_scenario.hpp"
#include "tests/support/studies.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

std::vector<std::string> labels(const SweepAxis& axis)
{
  std::vector<std::string> all;
  for (const AxisValue& value : axis.values)
    all.push_back(value.label);
  return all;
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

TEST_CASE("a study's axis may be a base, and what the file has not written")
{
  const Sandbox sandbox;
  sandbox.write("mine.json", first_scenario());
  sandbox.write("study.json",
                json{{"schema_version", 1},
                     {"name", "machines"},
                     {"scenario", "mine.json"},
                     {"axes",
                      {{{"name", "nodes"}, {"path", "machine.base"}, {"values", {"dgx-h100", "dgx-a100-80gb"}}},
                       {{"name", "dead"}, {"path", "faults.chips"}, {"values", {json::array()}}}}},
                     {"metrics", {"chips", "step_time"}}});
  const Outcome outcome = sandbox.call({"sweep", "study.json", "--csv", "-", "--quiet"});
  INFO(outcome.err);
  CHECK(outcome.code == done);
  std::istringstream lines(outcome.out);
  std::string head, h100, a100;
  std::getline(lines, head);
  std::getline(lines, h100);
  std::getline(lines, a100);
  REQUIRE(head.starts_with("number,nodes,dead,status,reason,chips,step_time"));
  const auto step = [](const std::string& line) {
    std::istringstream cells(line);
    std::string cell;
    for (int column = 0; column < 7; ++column)
      std::getline(cells, cell, ',');
    return std::stod(cell);
  };
  INFO(outcome.out);
  CHECK(step(a100) > 1.5 * step(h100)); // 312 of 989 TFLOP/s at peak
}
