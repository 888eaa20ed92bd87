// Scenarios as one types them for the first time: each mistake with the line that answers it, and what is read though
// it is not written as the catalogue writes it.

#include "sim/core/number_hint.hpp"
#include "sim/core/units.hpp"
#include "tests/support/sandbox.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

using nlohmann::json;
using namespace podsim::test;

namespace {

const std::string palm_file = source + "/scenarios/training/palm-540b.json";

// Llama 3 8B on 64 H100, fully sharded.
json first_scenario(const json& patch = json::object())
{
  json scenario{{"schema_version", 1},
                {"name", "mine"},
                {"model", "llama3-8b"},
                {"machine", {{"base", "dgx-h100"}, {"nodes", 8}}},
                {"workload", {{"batch", 512}, {"sequence", 4096}, {"remat", "full"}, {"optimizer", "adamw"}}},
                {"mesh", {{"data", {{"size", 64}, {"on", {"nvlink", "dcn"}}}}}},
                {"sharding", "fsdp"},
                {"software", "torchtitan-2024"}};
  scenario.merge_patch(patch);
  return scenario;
}

Outcome show(const json& scenario, Words changes = {})
{
  const Sandbox sandbox;
  sandbox.write("mine.json", scenario);
  Words arguments{"show", "mine.json"};
  for (std::string& change : changes)
    arguments.insert(arguments.end(), {"--set", std::move(change)});
  return sandbox.call(arguments);
}

json axis(int size, const json& on)
{
  return {{"size", size}, {"on", on}};
}

std::string complaint_of(const std::string& text)
{
  try {
    podsim::parse_quantity<podsim::PerSecond<podsim::ByteUnit>>(text);
  } catch (const std::invalid_argument& wrong) {
    return wrong.what();
  }
  return "";
}

} // namespace

TEST_CASE("a first scenario: each mistake and the lines that answer it")
{
  CHECK(show(first_scenario()).code == done);
  const json gone;
  const std::vector<std::pair<json, Words>> mistakes{
      {{{"model", gone}, {"modle", "llama3-8b"}}, {"mine.json: unknown key \"modle\"; did you mean \"model\"?"}},
      {{{"model", gone}}, {"mine.json: the key \"model\" is missing: one of bloom-176b, "}},
      {{{"machine", "tpu-v5"}}, {"there is no machine \"tpu-v5\"; did you mean \"tpu-v5e\" or \"tpu-v5p\"?"}},
      {{{"machine", {{"chip", "h100"}}}},
       {"machine.chip: there is no chip \"h100\"; did you mean \"h100-80gb\" or \"h100-80gb-2025"}},
      {{{"mesh", {{"data", axis(8, "dcn")}, {"tensor", axis(8, "nvlink")}}}},
       {"mine.json: mesh.tensor: no rule of this sharding uses the axis; its rules know data, pod"}},
      {{{"mesh", {{"data", gone}, {"fsdp", axis(64, {"nvlink", "dcn"})}}}},
       {"mine.json: mesh.fsdp: no rule of this sharding uses the axis; its rules know data, pod"}},
      {{{"replicated", {"dta"}}}, {"replicated[0]: expected the name of a mesh axis, found \"dta\""}},
      {{{"replicated", {"data"}}}, {"the axis \"data\" is not replicated: a rule of the sharding uses it"}},
      {{{"workload", {{"batch", gone}, {"bacth", 512}, {"sequence", "4k"}, {"optimizer", "adam"}, {"remat", gone}}}},
       {"workload: unknown key \"bacth\"; did you mean \"batch\"?",
        "workload.sequence: expected a whole number from 1 to 100000000, found \"4k\"; write 4096 (4 times 1024) or "
        "4000",
        "workload.optimizer: expected one of adamw, ", "workload: the key \"remat\" is missing: one of attention, "}},
      {{{"machine", {{"base", "dgx-2-v100"}, {"nvlink", {{"gpus", 1}}}}}},
       {"mine.json: machine.nvlink.gpus: a node of 1 GPU cannot share 8 NICs evenly; nvlink.gpus may be a multiple of "
        "host.nics, which is 8, or host.nics may be 1"}},
      {{{"machine", {{"host", {{"nic_bandwidth", "47.43 Gbs"}}}}}}, {"did you mean \"47.43 Gb/s\"?"}},
      {{{"machine", {{"chip", {{"base", "h100-80gb-2025"}, {"matrix_efficiency", "50 %"}}}}}},
       {"expected a fraction from 0.001 to 1, found \"50 %\"; write it as 0.5"}},
      {{{"workload", {{"batch", "2*16*16"}}}}, {"found \"2*16*16\"; write it as 512"}},
      {{{"workload", {{"sequence", "128k"}}}}, {"write 131072 (128 times 1024) or 128000"}},
      {{{"machine", {{"base", "tpu-v4"}, {"nodes", gone}, {"slice", "4 * 4 * 4"}}}},
       {"machine.slice: expected a slice shape of 3 sizes up to 10000, like \"12x16x16\", found \"4 * 4 * 4\"; did you "
        "mean \"4x4x4\"?"}},
      {{{"sharding", {{"base", "fsdp"}, {"weights", {{"embed", "dataa"}}}}}},
       {"sharding.weights.embed: the mesh has no axis \"dataa\"; did you mean \"data\"?"}}};
  for (const auto& [patch, lines] : mistakes) {
    INFO("patch: " << patch);
    check_errors(show(first_scenario(patch)), lines);
  }
}

TEST_CASE("twenty mistakes of a file are told, and how many more there are")
{
  json figures = json::array();
  for (int i = 0; i < 23; ++i)
    figures.push_back(json::parse(read_text(palm_file))["published"][0]);
  for (json& figure : figures)
    figure["convention"] = "of my own";
  const Outcome outcome = show(first_scenario({{"published", figures}}));
  CHECK(outcome.code == bad_input);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 21);
  CHECK_THAT(outcome.err, Catch::EndsWith("podsim: and 3 more mistakes\n"));
}

TEST_CASE("what is read though it is written otherwise")
{
  for (const json& patch : std::vector<json>{
           {{"workload", {{"batch", 512.0}}}},
           {{"machine", {{"host", {{"nic_bandwidth", "400 Gbps"}}}}}},
           {{"sharding", "context"}}, // without its axis, and without model
           {{"mesh", {{"data", axis(8, "dcn")}, {"tensor", axis(8, "nvlink")}}}, {"replicated", {"tensor"}}},
           {{"mesh", {{"data", axis(8, "dcn")}, {"model", axis(8, "nvlink")}}},
            {"sharding", "sequence-parallel-zero1"}},
       }) {
    INFO("patch: " << patch);
    const Outcome outcome = show(first_scenario(patch));
    CHECK((outcome.code == done || outcome.code == cannot_run)); // memory
    CHECK((outcome.err.empty() || outcome.code == cannot_run));
    CHECK_THAT(outcome.out, Catch::Contains("values, as resolved"));
  }
}

TEST_CASE("set: a base lies under what the file wrote, whatever else is set, in any order")
{
  const auto palm = [](const Words& changes) {
    Words arguments{"show", palm_file};
    for (const std::string& change : changes)
      arguments.insert(arguments.end(), {"--set", change});
    const Outcome outcome = call(arguments);
    CHECK(outcome.code == done);
    return outcome.out;
  };
  const std::string v5p = palm({"machine.base=tpu-v5p"});
  CHECK_THAT(v5p, Catch::Contains("6144 TPU v5p chips, 2 pods of 12x16x16"));
  const std::string hbm = "machine.chip.hbm_bandwidth=2 TB/s";
  for (const Words& changes : {Words{"machine.base=tpu-v5p", hbm}, Words{hbm, "machine.base=tpu-v5p"}}) {
    const std::string both = palm(changes);
    CHECK_THAT(both, Catch::Contains("6144 TPU v5p chips") && Catch::Contains("2 TB/s"));
  }
  CHECK_THAT(palm({"machine.chip.base=tpu-v5p"}), Catch::Contains("6144 TPU v5p chips, 2 pods of 12x16x16"));
  CHECK_THAT(palm({"workload.remat.base=full"}), Catch::Contains("remat full"));
  CHECK_THAT(palm({"software.base=xla-tpu-2023"}), Catch::Contains("XLA for TPU, 2023"));
  CHECK_THAT(palm({"machine.chip.matrix_efficiency=.8"}), Catch::Contains("0.8"));
  CHECK_THAT(show(first_scenario(), {"model.base=llama2-13b"}).out, Catch::Contains("Llama 2 13B"));
}

TEST_CASE("set: as a study, it may write keys that the file has not")
{
  CHECK(show(first_scenario(), {"mesh.spare={\"size\":1,\"on\":[]}"}).code == done);
  CHECK(show(first_scenario(), {"mesh.spare.size=1", "mesh.spare.on=[]"}).code == done);
  CHECK(show(first_scenario(), {"faults.hosts=[{\"at\": {\"node\": 0, \"nvlink\": 0}, \"nic\": 0.5}]"}).code == done);
  CHECK(show(first_scenario(), {"machine.chip.power=null"}).code == done);
  check_errors(show(first_scenario(), {"mesh.spare.size=1"}), {"mesh.spare: the key \"on\" is missing"});
  check_errors(show(first_scenario(), {"base=palm-540b.json"}), {"a scenario's base is written in its file"});
}

TEST_CASE("bits stay bits and bytes bytes")
{
  using Rate      = podsim::PerSecond<podsim::ByteUnit>;
  const auto rate = [](const char* text) { return podsim::parse_quantity<Rate>(text).value(); };
  for (const char* bits : {"400 Gb/s", "400 Gbps", "400 Gbit/s", "400 Gbits/s"})
    CHECK(rate(bits) == 50e9);
  for (const char* bytes : {"50 GB/s", "50 GBps", "50 Gbyte/s", "50 Gbytes/s"})
    CHECK(rate(bytes) == 50e9);
  for (const auto& [text, hint] : std::initializer_list<std::pair<const char*, const char*>>{
           {"47.43 Gbs", "did you mean \"47.43 Gb/s\"?"},
           {"47.43 GBs", "did you mean \"47.43 GB/s\"?"},
           {"47.43 GBytes/s", "did you mean \"47.43 GB/s\"?"},
           {"47.43 GBit/s", "did you mean \"47.43 Gb/s\"?"},
           {"47.43 gigabits per s", "did you mean \"47.43 Gb/s\"?"},
           {"45 GB", "did you mean \"45 GB/s\"?"},
           {"47.43 gbps", "did you mean \"47.43 Gb/s\" (bits) or \"47.43 GB/s\" (bytes)?"},
           {"47.43 G/s", "did you mean \"47.43 Gb/s\" (bits) or \"47.43 GB/s\" (bytes)?"},
           {"47.43", "write it like \"47.43 GB/s\" or \"47.43 Gb/s\""}})
    CHECK_THAT(complaint_of(text), Catch::EndsWith(hint));
}

TEST_CASE("numbers as people write them")
{
  using podsim::number_hint;
  using podsim::NumberKind;
  CHECK(number_hint("15T", NumberKind::any) == "; write it as 15e12");
  CHECK(number_hint("300 B", NumberKind::any) == "; write it as 300e9");
  CHECK(number_hint("128k", NumberKind::whole) == "; write 131072 (128 times 1024) or 128000");
  CHECK(number_hint("1,048,576", NumberKind::whole) == "; write it without quotes: 1048576");
  CHECK(number_hint("50%", NumberKind::fraction) == "; write it as 0.5");
  CHECK(number_hint("12 x 16 x 16", NumberKind::whole) == "; write it as 3072");
  CHECK(number_hint("many", NumberKind::whole).empty());
  CHECK(podsim::as_number(".8") == 0.8);
  CHECK(podsim::as_number("+2.") == 2.0);
  CHECK(!podsim::as_number("nan"));
  CHECK(!podsim::as_number("2 x"));
  CHECK(podsim::as_shape("12*16 X 16") == "12x16x16");
  CHECK(podsim::as_shape("12x").empty());
}

// 64 H100 with 80 GiB: a sequence of 131072 tokens on each, its logits (128256 words in f32) alone are 62.6 GiB. Halves
// of sequences on twice as many devices help; smaller micro-batches do not, there is one sequence.
TEST_CASE("what lacks memory is told what helps, what costs least first, with its memory and step time")
{
  const Sandbox sandbox;
  const auto run = [&](const json& workload) {
    sandbox.write("mine.json", first_scenario({{"workload", workload}}));
    return sandbox.call({"run", "mine.json"});
  };
  const std::string fits = "it would fit with ";
  const std::string cost = R"( \([0-9.]+ GiB, [0-9.]+ s a step\))";
  check_error(run({{"batch", 64}, {"sequence", 131072}}), cannot_run,
              {fits + "a mesh axis context of 2 out of data, now 32", "sharding context", " s a step)"});
  const std::string both = run({{"remat", "none"}}).err;
  CHECK_THAT(both, Catch::Matches(".*" + fits + "workload.micro_batch=[1-4]" + cost + " or workload.remat=[a-z]+" +
                                  cost + "\n"));
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
