// Transformers by their parameters, and the room of their experts.

#include "models/transformer.hpp"
#include "tests/support/prepared.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

double weights_in(const Program& program)
{
  double sum = 0;
  for (const Tensor& tensor : program.programs.front().blocks.back().tensors) // the update has every weight once
    if (tensor.kind == TensorKind::weight)
      sum += tensor.elements();
  return sum;
}

} // namespace

TEST_CASE("parameters of the published models")
{
  // PaLM's table 1, to its digits; MLPerf's 480B to the unit; MaxText's 22B to its digits.
  const auto parameters = [](const char* name) { return catalogued(name).program.model.parameters; };
  CHECK(parameters("training/palm-8b") == Approx(8.63e9).epsilon(0.005 / 8.63));
  CHECK(parameters("training/palm-62b") == Approx(62.50e9).epsilon(0.005 / 62.5));
  CHECK(parameters("training/palm-540b") == Approx(540.35e9).epsilon(0.005 / 540.35));
  CHECK(parameters("calibration/mlperf-480b") == 481815347200);
  CHECK(parameters("calibration/maxtext-22b") == Approx(21.94e9).epsilon(0.01 / 21.94));
  for (const char* name :
       {"training/palm-8b", "training/palm-540b", "calibration/mlperf-480b", "calibration/maxtext-22b"}) {
    const Program program = catalogued(name).program;
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
