// Figures that cannot be, and those that a reader would misread without a word beside them.

#include "reports/json.hpp"
#include "reports/remarks.hpp"
#include "reports/text.hpp"
#include "sim/metrics/possible.hpp"
#include "tests/support/sandbox.hpp"
#include "tests/support/small_scenario.hpp"

#include <functional>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

Metrics small_metrics()
{
  return *evaluate(test::prepare({.sharding = "gspmd-2d"})).metrics;
}

Prepared prepared(const json& scenario)
{
  return podsim::prepare(read_scenario(resolve_text(scenario.dump(), "own.json", Catalogue(PODSIM_SOURCE_DIR))));
}

Prepared catalogued(const std::string& name, const Words& changes = {})
{
  const Catalogue catalogue(PODSIM_SOURCE_DIR);
  return podsim::prepare(read_scenario(resolve(catalogue.file(Shelf::scenarios, name), changes, catalogue)));
}

// Llama 3 8B on one node of 8 H100, each with an eighth of each sequence.
json llama(int sequence, const std::string& remat, const std::string& software = "nemo-2025")
{
  return {{"schema_version", 1},
          {"name", "Llama 3 8B on 8 H100"},
          {"model", "llama3-8b"},
          {"machine",
           {{"base", "dgx-h100"}, {"nodes", 1}, {"chip", {{"base", "h100-80gb-2025"}, {"hbm_capacity", "4 TiB"}}}}},
          {"workload",
           {{"batch", 8}, {"micro_batch", 1}, {"sequence", sequence}, {"remat", remat}, {"optimizer", "adamw"}}},
          {"mesh", {{"context", {{"size", 8}, {"on", "nvlink"}}}}},
          {"sharding", "context"},
          {"software", software}};
}

// Mixtral's shape: 8 experts on 8 GPUs, each GPU with tokens of its own.
json mixtral(int batch, const json& capacity)
{
  json experts{{"count", 8}, {"top_k", 2}, {"every", 1}, {"mlp", "gated"}};
  experts.update(capacity);
  return {{"schema_version", 1},
          {"name", "Mixtral on 8 H100"},
          {"model", {{"base", "llama3-8b"}, {"vocabulary", 32000}, {"experts", experts}}},
          {"machine",
           {{"base", "dgx-h100"}, {"nodes", 1}, {"chip", {{"base", "h100-80gb-2025"}, {"hbm_capacity", "400 GiB"}}}}},
          {"workload",
           {{"batch", batch}, {"micro_batch", 1}, {"sequence", 4096}, {"remat", "none"}, {"optimizer", "adamw"}}},
          {"mesh", {{"ep", {{"size", 8}, {"on", "nvlink"}}}}},
          {"sharding",
           {{"name", "experts"},
            {"weights", {{"expert", "ep"}}},
            {"activations", {{"batch", "ep"}, {"expert", "ep"}}},
            {"compute", {{"batch", "ep"}, {"expert", "ep"}}}}},
          {"software", "nemo-2025"}};
}

constexpr double gib = 1024.0 * 1024 * 1024;

} // namespace

TEST_CASE("what cannot be is a fault of podsim's, which names the scenario and asks for a report")
{
  const Metrics sound = small_metrics();
  CHECK_NOTHROW(check_possible(sound, "0123abc"));
  const auto told = [&](const std::function<void(Metrics&)>& change) {
    Metrics broken = sound;
    broken.routing = Routing{100, 60, 40};
    CHECK_NOTHROW(check_possible(broken, "0123abc"));
    change(broken);
    try {
      check_possible(broken, "0123abc");
    } catch (const ImpossibleFigure& wrong) {
      CHECK_THAT(wrong.what(), Catch::Contains("0123abc") && Catch::Contains("report"));
      return std::string(wrong.what());
    }
    return std::string("nothing");
  };
  CHECK_THAT(told([](Metrics& m) { m.links.at(0).busy_fraction = 1.01; }), Catch::Contains("link ici_x"));
  CHECK_THAT(told([](Metrics& m) { m.device_use = 1.01; }), Catch::Contains("peak"));
  CHECK_THAT(told([](Metrics& m) { m.hfu = 1.01; }), Catch::Contains("HFU is 1.01"));
  CHECK_THAT(told([](Metrics& m) { m.hfu = std::nan(""); }), Catch::Contains("HFU is nan"));
  CHECK_THAT(told([](Metrics& m) { m.bubble = -0.01; }), Catch::Contains("bubble"));
  CHECK_THAT(told([](Metrics& m) { m.breakdowns.at(0).at(0).second += m.step_time * 1e-6; }),
             Catch::Contains("adds up to"));
  CHECK_THAT(told([](Metrics& m) {
               m.breakdowns.at(0).at(0).second += m.step_time;
               m.breakdowns.at(0).emplace_back("made up", m.step_time * -1.0);
             }),
             Catch::Contains("made up"));
  CHECK_THAT(told([](Metrics& m) { m.routing->dropped = 39; }),
             Catch::Contains("keep 60") && Catch::Contains("drop 39"));
  CHECK(told([](Metrics& m) { m.mfu = 1.3; }) == "nothing"); // PaLM's convention may count more than is executed
}

TEST_CASE("HFU counts what is executed: the masked half of attention only where a kernel computes it")
{
  // The weights of a layer's products and of the logits, and a product of attention over the whole square of scores.
  const double layer       = 2 * 4096.0 * 4096 + 2 * 4096.0 * 1024 + 3 * 4096.0 * 14336;
  const double n           = 32 * layer + 128256.0 * 4096;
  const double unit        = 2.0 * 32 * 4096 * 131072; // 2 L H Q T
  const FlopsPerToken none = flops_per_token(prepared(llama(131072, "none")).program);
  CHECK(none.model() == Approx(6 * 8030261248.0 + 6 * unit));
  CHECK(none.executed ==
        Approx(6 * n + (2 + 5) * unit / 2)); // the kernel computes the scores again in its backward pass
  CHECK(none.skipped == Approx((2 + 5) * unit / 2));
  const FlopsPerToken full = flops_per_token(prepared(llama(131072, "full")).program);
  CHECK(full.executed == Approx(6 * n + 2 * 32 * layer + (2 + 5 + 2) * unit / 2));
  CHECK(full.repeated == Approx(2 * 32 * layer + 2 * unit)); // as PaLM's convention has it
}

TEST_CASE("kernels that reach at most .75 of the peak make no HFU of 85 %")
{
  const Evaluation result = evaluate(prepared(llama(131072, "full")), {});
  const Metrics& m        = *result.metrics;
  CHECK(m.hfu > 0.50);
  CHECK(m.hfu < 0.55);
  CHECK(test::value_of("hfu", m, Counting::executed) == Approx(m.hfu));
  CHECK(*test::value_of("hfu", m, Counting::palm_hardware) > 0.80); // the masked half counted
  CHECK(m.device_use == Approx(m.hfu).epsilon(0.01));               // nothing is padded or computed twice here
  // PaLM's own attention computes the whole square: there both are the same.
  const FlopsPerToken palm = flops_per_token(catalogued("training/palm-540b").program);
  CHECK(palm.executed == Approx(palm.hardware()).epsilon(1e-4));
}

TEST_CASE("6N without the lookup of an untied embedding")
{
  const Prepared untied  = prepared(llama(8192, "none"));
  const FlopsPerToken f  = flops_per_token(untied.program);
  const double lookup    = 6 * 128256.0 * 4096;
  const double attention = 12.0 * 32 * 4096 * 8192;
  CHECK(f.counted(Counting::six_n) == 6 * 8030261248.0);
  CHECK(f.counted(Counting::six_n_without_lookup) == 6 * 8030261248.0 - lookup);
  CHECK(f.counted(Counting::six_n) / f.counted(Counting::six_n_without_lookup) == Approx(1.07).margin(0.001));
  CHECK(f.counted(Counting::six_n_causal_without_lookup) == Approx(6 * 8030261248.0 - lookup + attention / 2));
  CHECK(f.counted(Counting::palm_without_lookup) == Approx(6 * 8030261248.0 - lookup + attention));
  // A tied embedding is that of the logits, whose product counts.
  const FlopsPerToken tied = flops_per_token(catalogued("training/palm-8b").program);
  CHECK(tied.counted(Counting::six_n_without_lookup) == tied.counted(Counting::six_n));
}

TEST_CASE("room for experts: capacity counts choices, capacity_factor tokens, and what is dropped is known")
{
  const auto shape = [](const json& capacity) { return prepared(mixtral(8, capacity)).program.model; };
  CHECK(shape({{"capacity", 1}}).dropped == 0);
  CHECK(shape({{"capacity", "dropless"}}).dropped == 0);
  CHECK(shape({{"capacity", 1.25}}).dropped == 0);
  CHECK(shape({{"capacity", 0.5}}).dropped == Approx(0.5));
  CHECK(shape({{"capacity_factor", 2}}).dropped == 0); // GShard's for a top_k of 2
  CHECK(shape({{"capacity_factor", 1}}).dropped == Approx(0.5));
  CHECK(shape({{"capacity_factor", 1}, {"top_k", 8}}).dropped == Approx(7.0 / 8));
  CHECK(shape({{"capacity", 1}, {"top_k", 8}}).dropped == 0);
  CHECK(shape({{"capacity_factor", 0.05}}).dropped == Approx(1 - 26 * 8 / 8192.0)); // 25.6 places are 26

  const auto slots = [](const json& capacity) {
    const Metrics m = *evaluate(prepared(mixtral(8, capacity)), {}).metrics;
    CHECK(m.routing->choices == 8 * 4096.0 * 2 * 32);
    CHECK(m.routing->kept + m.routing->dropped == Approx(m.routing->choices));
    return m.routing->kept / m.routing->choices;
  };
  CHECK(slots({{"capacity", "dropless"}}) == 1);
  CHECK(slots({{"capacity", 1.25}}) == 1); // empty places are no choices
  CHECK(slots({{"capacity_factor", 0.05}}) == Approx(26 * 8 / 8192.0));
}

TEST_CASE("capacity's mistakes are told")
{
  const auto told = [](const json& capacity) -> std::string {
    try {
      prepared(mixtral(8, capacity));
    } catch (const InputError& wrong) {
      return wrong.what();
    }
    return "nothing";
  };
  CHECK_THAT(told({{"capacity", 1}, {"capacity_factor", 2}}),
             Catch::Contains("capacity_factor") && Catch::Contains("null"));
  CHECK_THAT(told(json::object()), Catch::Contains("capacity") && Catch::Contains("missing"));
  CHECK_THAT(told({{"capacity", "droples"}}), Catch::Contains("did you mean \"dropless\""));
  CHECK_THAT(told({{"capacity", 0}}), Catch::Contains("above 0"));
}

TEST_CASE("an MFU over 100 % says what makes it so, and what is dropped is in every report")
{
  const Evaluation result = evaluate(prepared(mixtral(8, {{"capacity_factor", 0.05}})), {});
  CHECK(result.metrics->mfu > 1);
  CHECK(result.metrics->hfu < 1);
  const std::string text = to_text(result, Style(false)).text();
  CHECK_THAT(text, Catch::Contains("97.5 % of the choices of experts are dropped"));
  CHECK_THAT(text, Catch::Contains("MFU is over 100 % because PaLM's convention counts"));
  CHECK_THAT(text, Catch::Contains("the choices that experts drop"));
  const json written = json::parse(to_json(result));
  CHECK(written.at("experts").at("dropped_choices") == Approx(1 - 26 * 8 / 8192.0));
  CHECK(written.at("remarks").size() == 2);
  CHECK(written.at("mfu").get<double>() > 1);

  const Evaluation whole = evaluate(prepared(mixtral(8, {{"capacity", "dropless"}})), {});
  CHECK(whole.metrics->mfu < 1);
  CHECK_THAT(to_text(whole, Style(false)).text(), Catch::Contains("no choice is dropped"));
  CHECK(json::parse(to_json(whole)).at("experts").at("dropped_choices") == 0);
  CHECK(remarks(whole).empty());
}

TEST_CASE("micro-batches do not grow the gradients of experts over the axis that splits them")
{
  const Memory one = memory(prepared(mixtral(8, {{"capacity_factor", 2}})).sharded);
  const Memory two = memory(prepared(mixtral(16, {{"capacity_factor", 2}})).sharded);
  // Each GPU has one expert of each layer, and all the rest whole; sums in f32.
  const double expert = 32 * 3 * 4096.0 * 14336;
  const double rest   = 2 * 32000.0 * 4096 + 32 * (2 * 4096.0 * 4096 + 2 * 4096.0 * 1024 + 2 * 4096) + 4096;
  const double router = 32 * 4096.0 * 8; // an eighth of it is stored, but until it is reduced each has all
  CHECK(one.gradients.value() == Approx(4 * (expert + rest + router / 8)));
  CHECK(two.gradients.value() == Approx(4 * (expert + rest + router)));
  CHECK(one.gradients.value() / gib == Approx(27.0).margin(0.05));
  CHECK(two.gradients.value() / gib == Approx(27.0).margin(0.05));
  CHECK(two.total() / one.total() == Approx(1).epsilon(1e-3));
}

TEST_CASE("gradients are reduced in the buffer that the device keeps")
{
  const json scenario{
      {"schema_version", 1},
      {"name", "GPT 7.5B on 64 A100"},
      {"model", "megatron-7.5b"},
      {"machine", {{"base", "dgx-a100-80gb"}, {"nodes", 8}}},
      {"workload",
       {{"batch", 512}, {"micro_batch", 1}, {"sequence", 2048}, {"remat", "full"}, {"optimizer", "adamw-mixed"}}},
      {"mesh", {{"data", {{"size", 64}, {"on", {"nvlink", "dcn"}}}}}},
      {"sharding", "model-zero-1"},
      {"software", "megatron-2021"}};
  const Memory m      = memory(prepared(scenario).sharded);
  const double weight = 36 * 12 * 4096.0 * 4096 + (51200 + 2048) * 4096.0; // without norms and biases
  CHECK(m.gradients.value() == Approx(2 * weight).epsilon(2e-3));
  // Beside the sums in bf16, at most what the products of a layer have just made and nobody has added to them yet.
  CHECK(m.layer_gradients.value() <= 2 * 12 * 4096.0 * 4096);
}

TEST_CASE("efficiencies that hold for another chip are said")
{
  const auto of            = [](const Prepared& p) { return describe(p); };
  const Evaluation foreign = of(prepared(llama(8192, "none", "torchtitan-2024")));
  REQUIRE(foreign.foreign.size() == 2);
  CHECK(foreign.foreign[0].path == "software.attention.forward_efficiency");
  CHECK(foreign.foreign[0].chip == "A100");
  REQUIRE(remarks(foreign).size() == 1);
  CHECK(remarks(foreign)[0] == "software.attention.forward_efficiency, software.attention.backward_efficiency hold for "
                               "A100 and not for H100 SXM 80 GB, libraries of 2025");
  CHECK_THAT(to_text(foreign, Style(false)).text(), Catch::Contains("remark") && Catch::Contains("hold for A100"));
  const json written = json::parse(to_json(foreign)).at("constants_of_other_chips");
  CHECK(written == json{{{"path", "software.attention.forward_efficiency"}, {"chip", "A100"}},
                        {{"path", "software.attention.backward_efficiency"}, {"chip", "A100"}}});

  CHECK(of(prepared(llama(8192, "none"))).foreign.empty());
  CHECK(json::parse(to_json(of(prepared(llama(8192, "none"))))).at("constants_of_other_chips").empty());
  CHECK(of(catalogued("training/a100/titan2024-llama2-13b-noac")).foreign.empty());
  CHECK(of(catalogued("training/tpu-v5e/maxtext-32b-v5e-1x256")).foreign.empty()); // one of several
  CHECK(of(catalogued("training/palm-8b", {"software=xla-tpu-2024"})).foreign.size() == 2);
  // Who gives a value of his own says nothing of the chip of the one that was there.
  const Prepared own =
      catalogued("training/palm-8b", {"software=xla-tpu-2024", "software.attention.forward_efficiency=0.3"});
  CHECK(of(own).foreign.size() == 1);
}

TEST_CASE("tables mark the rows that need a remark")
{
  const Sandbox folder;
  folder.write("foreign.json", [] {
    json scenario         = llama(8192, "none", "torchtitan-2024");
    scenario["published"] = {{{"id", "OWN"},
                              {"metric", "step_time"},
                              {"value", 1},
                              {"unit", "s"},
                              {"convention", "none"},
                              {"statistic", "average"},
                              {"calibration", false},
                              {"source", "own"}}};
    return scenario;
  }());
  folder.write("own.json", llama(8192, "none"));
  folder.write("drops.json", mixtral(8, {{"capacity", 0.5}}));
  folder.write("study.json", {{"schema_version", 1},
                              {"name", "a study"},
                              {"scenario", "own.json"},
                              {"axes", {{{"path", "software"}, {"values", {"nemo-2025", "torchtitan-2024"}}}}},
                              {"metrics", {"mfu"}}});

  const Outcome validated = folder.call({"validate", "foreign.json", "--csv", "validated.csv"});
  CHECK(validated.code == done);
  CHECK_THAT(validated.out, Catch::Contains("! 1 row: software.attention.forward_efficiency"));
  CHECK_THAT(read_text(folder.path("validated.csv")),
             Catch::Contains(",remarks\n") && Catch::Contains("hold for A100"));

  const Outcome compared =
      folder.call({"compare", "own.json", "drops.json", "foreign.json", "--csv", "compared.csv", "--json", "compared"});
  CHECK(compared.code == done);
  CHECK_THAT(compared.out, Catch::Contains("    ! 50.0 % of the choices") && Catch::Contains("choices dropped") &&
                               Catch::Contains("hold for A100"));
  const json columns = json::parse(read_text(folder.path("compared"))).at("scenarios");
  CHECK(columns[0].at("remarks").empty());
  CHECK(columns[1].at("dropped_choices") == Approx(0.5));
  CHECK(columns[2].at("remarks").size() == 1);
  CHECK_THAT(read_text(folder.path("compared.csv")), Catch::Contains("dropped_choices,,0.5,\n"));

  const Outcome swept = folder.call({"sweep", "study.json", "--csv", "swept.csv", "--json", "swept"});
  CHECK(swept.code == done);
  CHECK_THAT(swept.out, Catch::Contains("! 1 row: software.attention.forward_efficiency"));
  const std::string rows = read_text(folder.path("swept.csv"));
  CHECK_THAT(rows,
             Catch::StartsWith("number,software,status,reason,mfu,remarks\n") && Catch::Contains("hold for A100"));
  CHECK_THAT(read_text(folder.path("swept")), Catch::Contains("\"remarks\":\"software.attention"));
}

TEST_CASE("every second layer whole keeps half of what all keep")
{
  const auto saved = [](const char* remat) {
    return memory(
        catalogued("training/a100/titan2024-llama2-13b-sellayer", {std::string("workload.remat=") + remat}).sharded);
  };
  const Memory half = saved("every-second-layer");
  CHECK(half.saved_activations.value() ==
        Approx((saved("none").saved_activations.value() + saved("full").saved_activations.value()) / 2));
  CHECK(half.total().value() / gib == Approx(33.8).margin(0.5));
}

TEST_CASE("a remat that keeps more never needs less for what it keeps")
{
  for (const char* name : {"training/a100/titan2024-llama2-13b-noac", "training/palm-8b", "training/tpu-v4/glam-1.2t",
                           "training/a100/korthikanti22-22b-full", "training/tpu-v5e/maxtext-32b-v5e-1x256"}) {
    double before = 0;
    for (const char* remat : {"full", "every-second-layer", "none"}) {
      const Words change{std::string("workload.remat=") + remat, "machine.chip.hbm_capacity=\"4 TiB\""};
      const double saved = memory(catalogued(name, change).sharded).saved_activations.value();
      CAPTURE(name, remat);
      CHECK(saved > before);
      before = saved;
    }
    const auto kept = [&](const char* remat) {
      return memory(catalogued(name, {std::string("workload.remat=") + remat}).sharded).saved_activations;
    };
    CHECK(kept("block-inputs") == kept("full"));
    CHECK(kept("attention") >= kept("full"));
    CHECK(kept("attention") <= kept("none"));
  }
}
