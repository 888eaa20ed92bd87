// What a device keeps and what is alive at once.

#include "tests/support/measured.hpp"
#include "tests/support/prepared.hpp"

#include <catch2/catch.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("memory: what is kept and what is alive at once")
{
  const Prepared p = test::prepare({});
  const Memory m   = memory(p.sharded);
  const double n   = 3 * 192 * (2.0 * 24 * 16 + 2 * 16 + 3 * 768) + 1000 * 192; // without norm scales
  // Over 16 x 4 chips; the two key and value weights and the scales lie over the data axis only.
  const double whole = 3 * 192 * 2.0 * 16 + (3 + 1) * 192;
  const double local = (n - 3 * 192 * 2.0 * 16) / 64 + whole / 16;
  CHECK(m.parameters.value() == Approx(4 * local));
  CHECK(m.gradients.value() == Approx(2 * local));
  CHECK(m.optimizer_state.value() == Approx(8 * local));
  // One fully sharded activation a layer: 64 x 64 x 192 over 64 chips in bf16.
  CHECK(m.saved_activations.value() == 3 * 64.0 * 64 * 192 / 64 * 2);
  CHECK(m.total() == m.parameters + m.gradients + m.optimizer_state + m.saved_activations + m.gathered_weights +
                         m.layer_gradients + m.workspace);
  // Keeping everything saves more than keeping nothing.
  CHECK(memory(test::prepare({.remat = "none"}).sharded).saved_activations > 5 * m.saved_activations);
}

TEST_CASE("memory at the worst moment, what other iterations have in flight among it")
{
  const Prepared p       = test::prepare({});
  DeviceBlock layer      = block("layer", 4,
                                 {gather(1, Bytes(100), true), compute(matrix_work, {0}), compute(hbm_work, {1}),
                                  gather(1, Bytes(30), true, {2})});
  layer.buffers          = {{"weights", Buffer::Kind::gathered_weights, Bytes(100), 0, 1},
                            {"hidden", Buffer::Kind::workspace, Bytes(7), 1, 2},
                            {"gradient", Buffer::Kind::gradients, Bytes(30), 2, 3}};
  layer.saved            = Bytes(5);
  ShardedProgram program = one_stage(p.scenario.mesh, {layer}, {Bytes(1000), Bytes(2000), Bytes(500)});
  // In operation 1: weights and hidden, and the gradient of the layer before, which is still being reduced.
  CHECK(memory(program).gathered_weights.value() == 100);
  CHECK(memory(program).workspace.value() == 7);
  CHECK(memory(program).layer_gradients.value() == 30);
  CHECK(memory(program).saved_activations.value() == 4 * 5);
  CHECK(memory(program).total().value() == 3500 + 20 + 100 + 7 + 30);
  program.prefetch_iterations = 2; // the next two layers' weights as well
  CHECK(memory(program).gathered_weights.value() == 300);
  program.prefetch_iterations = 1000; // there are three more layers only
  CHECK(memory(program).gathered_weights.value() == 400);
  // Blocking, nothing is in flight beside.
  for (DeviceOperation& op : program.programs[0].blocks[0].operations)
    op.asynchronous = false;
  CHECK(memory(program).gathered_weights.value() == 100);
  CHECK(memory(program).layer_gradients.value() == 0);
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
      const std::vector<std::string> change{std::string("workload.remat=") + remat,
                                            "machine.chip.hbm_capacity=\"4 TiB\""};
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
