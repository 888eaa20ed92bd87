// What the stages of a pipeline compute, send and keep.

#include "sim/metrics/metrics.hpp"
#include "tests/support/device_blocks.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <tuple>
#include <utility>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

// tiny-serial of 8 layers, in stages on the DCN, 2 x 2 x 1 chips each.
SmallScenario staged(const std::string& schedule, int stages, int chunks, int micro_batches)
{
  return {.slice       = "2x2x1",
          .pods        = stages,
          .model       = "tiny-serial",
          .batch       = 2 * micro_batches,
          .remat       = "full",
          .sharding    = "tensor-1d",
          .mesh        = {{"data", "x"}, {"model", "y"}, {"pipeline", "dcn"}},
          .pipeline    = pipeline_part(schedule, chunks),
          .micro_batch = 1,
          .changes     = {"model.layers=8"}};
}

} // namespace

TEST_CASE("what goes down and up a pipeline arrives, and is the activation of each micro-batch at each cut")
{
  for (const auto& [schedule, chunks] : {std::pair("gpipe", 1), {"1f1b", 1}, {"interleaved", 2}})
    for (const bool scattered : {false, true}) {
      const int p = 4, m = 8;
      SmallScenario scenario = staged(schedule, p, chunks, m);
      scenario.changes.push_back(std::string("software.scattered_transfers=") + (scattered ? "true" : "false"));
      const ShardedProgram program = test::prepare(scenario).sharded;
      std::map<std::pair<bool, int>, double> bytes; // sent?, towards
      for (std::size_t stage = 0; stage < program.stages.size(); ++stage)
        each_operation(program, stage, [&](const DeviceOperation& op, double times) {
          if (op.kind == DeviceOperation::Kind::send || op.kind == DeviceOperation::Kind::receive)
            bytes[{op.kind == DeviceOperation::Kind::send, op.towards}] += op.transfer.value() * times;
        });
      CAPTURE(schedule, scattered);
      // One sequence of 64 tokens, 192 channels in bf16, of which two devices may send a half each.
      const double each = 64 * 192 * 2 / (scattered ? 2.0 : 1.0);
      for (const bool sent : {false, true})
        for (const int towards : {-1, 1})
          CHECK(bytes[{sent, towards}] == m * (p * chunks - 1) * each);
    }
}

TEST_CASE("the devices of all stages together execute the program's FLOPs")
{
  for (const auto& [schedule, chunks, layers] :
       {std::tuple("1f1b", 1, "null"), {"interleaved", 2, "null"}, {"1f1b", 1, "[1,3,3,1]"}}) {
    SmallScenario scenario = staged(schedule, 4, chunks, 4);
    if (layers != std::string("null"))
      scenario.pipeline["layers"] = json::parse(layers);
    const Prepared p  = test::prepare(scenario);
    double of_program = 0, of_devices = 0, without_stages = 0;
    for (const std::size_t program : p.program.program_of)
      for (const Block& block : p.program.programs[program].blocks)
        for (const Operation& op : block.operations)
          of_program += static_cast<double>(block.count * 4) * flops(block, op);
    for (std::size_t stage = 0; stage < 4; ++stage)
      each_operation(p.sharded, stage, [&](const DeviceOperation& op, double times) {
        of_devices += 4 * times * op.work.matrix.flops().value();
      });
    scenario.pods = 1;
    scenario.mesh.pop_back();
    scenario.pipeline    = nullptr;
    const Prepared whole = test::prepare(scenario);
    each_operation(whole.sharded, 0, [&](const DeviceOperation& op, double times) {
      without_stages += 4 * times * op.work.matrix.flops().value();
    });
    CAPTURE(schedule, layers);
    CHECK(of_devices == Approx(of_program).epsilon(1e-12));
    CHECK(of_devices == Approx(without_stages).epsilon(1e-12));
    CHECK(flops_per_token(p.program).repeated == Approx(flops_per_token(whole.program).repeated).epsilon(1e-12));
  }
}

TEST_CASE("1F1B keeps the activations of p - s micro-batches, GPipe those of all")
{
  // 2 layers a stage; full remat saves the layer's input: 64 sequences of 64 x 192 in bf16, so that the worst moment is
  // in a backward pass. The first stage, with the most micro-batches, is the one that needs most.
  const double layer = 64 * 64 * 192 * 2;
  const auto staged  = [](const char* schedule, int stages, int chunks, int micro_batches) {
    SmallScenario scenario = ::staged(schedule, stages, chunks, micro_batches);
    scenario.batch *= 64;
    scenario.micro_batch = 64;
    return scenario;
  };
  CHECK(memory(test::prepare(staged("1f1b", 4, 1, 16)).sharded).saved_activations.value() == 4 * 2 * layer);
  CHECK(memory(test::prepare(staged("1f1b", 2, 1, 16)).sharded).saved_activations.value() == 2 * 4 * layer);
  CHECK(memory(test::prepare(staged("1f1b", 4, 1, 2)).sharded).saved_activations.value() == 2 * 2 * layer);
  CHECK(memory(test::prepare(staged("gpipe", 4, 1, 16)).sharded).saved_activations.value() == 16 * 2 * layer);
  // Interleaved, 2 chunks of a layer each: 2 (p - 1) + p + 1 of them in flight.
  CHECK(memory(test::prepare(staged("interleaved", 4, 2, 16)).sharded).saved_activations.value() == 11 * layer);
  // Each stage for itself.
  const ShardedProgram whole = test::prepare(staged("1f1b", 4, 1, 16)).sharded;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    ShardedProgram alone = whole;
    alone.stages         = {whole.stages[stage]};
    CHECK(memory(alone).saved_activations.value() == static_cast<double>(4 - stage) * 2 * layer);
  }
}

// The embedding on a stage of its own, then all 8 layers, then the loss by itself. tiny-serial has 1000 words and 64
// positions of 192 channels, and attention weights 4 x 192 x 192 and MLP weights 2 x 192 x 384 a layer; the two devices
// of the model axis share all but the positions, each in f32 (4 bytes).
TEST_CASE("a stage may have no layers: the embedding or the loss by itself")
{
  SmallScenario scenario      = staged("1f1b", 3, 1, 4);
  scenario.pipeline["layers"] = {0, 8, 0};
  const Prepared p            = test::prepare(scenario);
  REQUIRE(p.sharded.stages.size() == 3);
  const auto parameters = [&](std::size_t stage) { return p.sharded.program_of(stage).resident.parameters.value(); };
  CHECK(parameters(0) == 4 * (1000 * 192 / 2 + 64 * 192));
  CHECK(parameters(1) == 4 * 8 * (4 * 192 * 192 + 2 * 192 * 384) / 2);
  CHECK(parameters(2) == 4 * 1000 * 192 / 2);

  // 4 micro-batches of a sequence of 64 tokens on each of 2 replicas: a layer's products forward, again and twice
  // backward are all on the stage in the middle, the logits (three products) on the last, none on the first.
  const auto flops = [&](std::size_t stage) {
    double sum = 0;
    each_operation(p.sharded, stage,
                   [&](const DeviceOperation& op, double times) { sum += op.work.matrix.flops().value() * times; });
    return sum;
  };
  const double layer = 2.0 * 64 * (4 * 192 * 192 + 2 * 192 * 384) + 2.0 * 2 * 64 * 64 * 192;
  CHECK(flops(0) == 0);
  CHECK(flops(1) == Approx(4 * 8 * 4 * layer / 2));
  CHECK(flops(2) == Approx(4 * 3 * 2.0 * 64 * 192 * 1000 / 2));
  for (const auto granularity : {Granularity::collective, Granularity::chunk})
    for (const bool skips : {true, false})
      CHECK(test::simulate(p, granularity, false, skips).end == test::simulate(p, granularity, true, false).end);
}

TEST_CASE("an interleaved schedule may have a piece without layers")
{
  SmallScenario scenario      = staged("interleaved", 2, 2, 4);
  scenario.pipeline["layers"] = {0, 4, 4, 0};
  const Prepared p            = test::prepare(scenario);
  CHECK(test::simulate(p, Granularity::chunk, false).end == test::simulate(p, Granularity::chunk, true).end);
}
