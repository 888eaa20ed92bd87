#include "sim/metrics/metrics.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>

using namespace podsim;

namespace {

Scenario catalogued(const std::string& name, std::vector<std::string> changes = {})
{
  const Catalogue catalogue(PODSIM_SOURCE_DIR);
  return read_scenario(resolve(catalogue.file(Shelf::scenarios, name), changes, catalogue));
}

double weights_in(const Program& program)
{
  double sum = 0;
  for (const Tensor& tensor : program.programs.front().blocks.back().tensors) // the update has every weight once
    if (tensor.kind == TensorKind::weight)
      sum += tensor.elements();
  return sum;
}

std::map<Pass, double> flops_by_pass(const Program& program)
{
  std::map<Pass, double> sums;
  for (const Block& block : program.programs.front().blocks)
    for (const Operation& operation : block.operations)
      sums[operation.pass] += flops(block, operation) * static_cast<double>(block.count) / program.tokens_per_step;
  return sums;
}

} // namespace

TEST_CASE("parameters of the published models")
{
  // PaLM's table 1, to its digits; MLPerf's 480B to the unit; MaxText's 22B to its digits.
  const auto parameters = [](const char* name) { return prepare(catalogued(name)).program.model.parameters; };
  CHECK(parameters("training/palm-8b") == Approx(8.63e9).epsilon(0.005 / 8.63));
  CHECK(parameters("training/palm-62b") == Approx(62.50e9).epsilon(0.005 / 62.5));
  CHECK(parameters("training/palm-540b") == Approx(540.35e9).epsilon(0.005 / 540.35));
  CHECK(parameters("calibration/mlperf-480b") == 481815347200);
  CHECK(parameters("calibration/maxtext-22b") == Approx(21.94e9).epsilon(0.01 / 21.94));
  for (const char* name :
       {"training/palm-8b", "training/palm-540b", "calibration/mlperf-480b", "calibration/maxtext-22b"}) {
    const Program program = prepare(catalogued(name)).program;
    CHECK(weights_in(program) == program.model.parameters); // the formula against the tensors
  }
}

TEST_CASE("parameters of the catalogue's models, to the digits that are published")
{
  const auto config = [](const std::string& name) {
    Document document;
    *document.json = parse_json_file(PODSIM_SOURCE_DIR "/models/" + name + ".json");
    Reader reader(document);
    reader.find("schema_version");
    return read_transformer(reader);
  };
  const auto parameters = [&](const std::string& name) {
    const TransformerConfig c = config(name);
    return parameter_count(c, c.experts.count);
  };
  const std::vector<std::pair<std::string, double>> to_the_unit{
      {"lamda-137b", 137702416384},         {"maxtext-16b", 16273899520},   {"maxtext-32b", 32547799040},
      {"maxtext-64b", 64760053760},         {"maxtext-128b", 129184563200}, {"maxtext-256b", 258369126400},
      {"bloom-176b", 176247271424 - 28672}, {"llama2-13b", 13015864320},    {"llama3-8b", 8030261248},
      {"llama3-70b", 70553706496}};
  for (const auto& [name, published] : to_the_unit) {
    CAPTURE(name);
    CHECK(parameters(name) == published);
  }
  struct Rounded {
    std::string name;
    double published, digit; // and the weight of its last digit
  };
  const std::vector<Rounded> rounded{{"megatron-1.7b", 1.7, .1},
                                     {"megatron-7.5b", 7.5, .1},
                                     {"megatron-18.4b", 18.4, .1},
                                     {"megatron-22b", 22, 1},
                                     {"megatron-76.1b", 76.1, .1},
                                     {"megatron-145.6b", 145.6, .1},
                                     {"megatron-174.6b", 174.6, .1},
                                     {"megatron-529.6b", 529.6, .1},
                                     {"megatron-1008b", 1008, 1},
                                     {"mt-nlg-530b", 530, 1},
                                     {"gpt3-175b", 174.6, .1},
                                     {"gopher-280b", 280, 1},
                                     {"glam-1.2t", 1200, 100},
                                     {"bloom-bench-181b", 181, 1},
                                     {"mpt-7b", 7, 1},
                                     {"mpt-13b", 13, 1},
                                     {"mpt-30b", 30, 1},
                                     {"mpt-70b", 64.8, .1},
                                     {"zero-bubble-1.5b", 1.5, .1},
                                     {"zero-bubble-6.2b", 6.25, .1},
                                     {"pathways-3b", 3, 1}};
  for (const Rounded& one : rounded) {
    CAPTURE(one.name);
    CHECK(parameters(one.name) == Approx(one.published * 1e9).margin(one.digit * 0.5e9));
  }
  const TransformerConfig glam = config("glam-1.2t");
  CHECK(parameter_count(glam, glam.experts.top_k) == Approx(96.6e9).margin(0.05e9));

  for (const char* name : {"megatron-22b", "lamda-137b", "gopher-280b", "bloom-176b", "llama3-8b", "glam-1.2t"}) {
    const TransformerConfig c = config(name);
    const ForwardPass pass    = forward_pass(c, 8, 2048, Precision{});
    double sum                = 0;
    for (const Block* block : {&pass.embedding, &pass.layer, &pass.head})
      for (const Tensor& tensor : block->tensors)
        if (tensor.kind == TensorKind::weight && (tensor.name != "embedding" || block != &pass.head))
          sum += tensor.elements() * static_cast<double>(block->count);
    CAPTURE(name);
    CHECK(sum == pass.shape.parameters); // the formula against the tensors
  }
}

TEST_CASE("FLOPs a token agree with PaLM's table 22")
{
  const auto tera = [](const char* name) {
    const FlopsPerToken flops = flops_per_token(prepare(catalogued(name)).program);
    return std::pair(flops.model() / 1e12, flops.hardware() / 1e12);
  };
  CHECK(tera("training/palm-8b").first == Approx(0.0550).margin(0.00005));
  CHECK(tera("training/palm-8b").second == Approx(0.0561).margin(0.00005));
  CHECK(tera("training/palm-62b").first == Approx(0.388).margin(0.0005));
  CHECK(tera("training/palm-62b").second == Approx(0.392).margin(0.0005));
  CHECK(tera("training/palm-540b").first == Approx(3.28).margin(0.005));
  CHECK(tera("training/palm-540b").second == Approx(4.10).margin(0.005));
}

TEST_CASE("the program executes the FLOPs that the formula counts")
{
  for (const char* name : {"training/palm-540b", "calibration/mlperf-480b", "calibration/maxtext-22b"}) {
    const Program program     = prepare(catalogued(name)).program;
    const FlopsPerToken count = flops_per_token(program);
    auto executed             = flops_by_pass(program);
    // Positions and norm scales are parameters without FLOPs: at most 0.1% of them.
    CHECK(executed[Pass::forward] == Approx(count.model() / 3).epsilon(1e-3));
    CHECK(executed[Pass::backward] == Approx(2 * executed[Pass::forward]).epsilon(1e-12));
  }
}

TEST_CASE("what remat repeats")
{
  const auto repeated = [](const char* remat) {
    return flops_per_token(test::prepare({.model = "tiny-serial", .remat = remat}).program).repeated;
  };
  // tiny-serial: 2 layers of d 192, ff 384, 24 heads of 8, sequence 64. A layer's products are
  // 2 (4 x 192 x 192 + 2 x 192 x 384) FLOPs a token, its attention 2 x 2 x 192 x 64.
  const double products  = 2.0 * 2 * (4 * 192 * 192 + 2 * 192 * 384);
  const double attention = 2.0 * 2 * 2 * 192 * 64;
  CHECK(repeated("none") == 0);
  CHECK(repeated("attention") == Approx(attention));
  CHECK(repeated("full") == Approx(products + attention));
  // A list: what is not on it and is needed is repeated. Nothing needs the down projection or its operand's sum.
  const nlohmann::json keep = {{"name", "list"}, {"keep", {"up", "hidden", "middle"}}};
  const double without_mlp =
      2.0 * 2 * (3 * 192 * 192) + attention; // query, key, value; their output gives the kept "middle"
  const Prepared listed = test::prepare({.model = "tiny-serial", .changes = {"workload.remat=" + keep.dump()}});
  CHECK(flops_per_token(listed.program).repeated == Approx(without_mlp));
}

TEST_CASE("what remat repeats makes HFU more than MFU: 1.238 times for 480B, 1.251 for PaLM")
{
  const auto ratio = [](const char* name) {
    const FlopsPerToken flops = flops_per_token(prepare(catalogued(name)).program);
    return flops.hardware() / flops.model();
  };
  // 480B repeats a layer's forward pass but for the MLP's last product, which no gradient reads; and no logits.
  const double down  = 16384.0 * 131072;
  const double layer = 2 * 16384.0 * 32768 + 2 * 16384.0 * 128 + 3 * down + 2 * 32768.0 * 512; // with attention
  const double once  = 64 * layer + 30522.0 * 16384;
  CHECK(ratio("calibration/mlperf-480b") == Approx(1 + 64 * (layer - down) / (3 * once)).epsilon(1e-3));
  CHECK(ratio("training/palm-540b") == Approx(57.8 / 46.2).margin(0.001));
}
