// What is wrong in a scenario, each mistake with the lines that answer it; and what is read though it is not written as
// the catalogue writes it.

#include "tests/support/first_scenario.hpp"
#include "tests/support/palm.hpp"
#include "tests/support/published_scenario.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

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

TEST_CASE("mistakes in the fields of kernels and experts are answered in one line")
{
  const std::vector<std::pair<std::string, std::string>> mistakes{
      {"software.attention=flash", "expected one of unfused, fused, found \"flash\""},
      {"software.attention=fused", "\"fused\" needs an object"},
      {R"(software.attention={"kernel": "fused", "casual": "half"})", "causal"},
      {R"(software.attention={"kernel": "unfused", "causal": "half"})", "causal"},
      {"software.element_wise=kernel", "did you mean \"kernels\"?"},
      {"software.element_wise_overhead=0.5", "expected a factor from 1 to 10"},
      {"software.asynchronous=[\"activation gather\"]", "did you mean \"activation gathers\"?"},
      {"workload.dropout=0.1", "workload.dropout"},
      {"model.positions=alibbi", "did you mean \"alibi\"?"},
      {R"(model.experts={"count": 4, "top_k": 5, "every": 1, "capacity_factor": 2, "mlp": "plain"})", "top_k"},
      {R"(model.experts={"count": 4, "top_k": 2, "every": 3, "capacity_factor": 2, "mlp": "plain"})",
       "must divide layers, which is 2"},
      {R"(model.experts={"count": 4, "top_k": 2, "every": 1, "capacity_factor": 0, "mlp": "plain"})",
       "a number above 0"},
      {R"(model.experts={"count": 4, "top_k": 2, "every": 1, "capacity_factor": 2, "group": 100, "mlp": "plain"})",
       "cannot be divided into groups of 100"}};
  for (const auto& [change, complaint] : mistakes) {
    CAPTURE(change);
    CHECK_THROWS_WITH(test::prepare({.model = "tiny-serial", .changes = {change}}), Catch::Contains(complaint));
  }
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

TEST_CASE("published figures stay where only names and notes change")
{
  const auto figures = [](const std::string& change) {
    return result_of(call({"run", "palm-540b", "--json", "-", "--set", change})).at("published").size();
  };
  const std::size_t all = figures("software.note=x");
  CHECK(all == 9);
  for (const char* change :
       {"note=x", "name=mine", "workload.note=x", "model.name=mine", "machine.name=ours", "model.note=x"})
    CHECK(figures(change) == all);
  CHECK(figures("workload.sequence=1024") == 0);
}
