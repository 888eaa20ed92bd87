// ZeRO as rules about weights, gradients and the optimizer's state: what stays on a device and what is communicated.

#include "sim/metrics/metrics.hpp"
#include "tests/support/device_blocks.hpp"

#include <catch2/catch.hpp>
#include <utility>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

// tiny-serial: 2 layers of 4 x 192 x 192 + 2 x 192 x 384 weights, two tables of 1000 x 192, 64 learned positions.
constexpr double layer_weights = 4.0 * 192 * 192 + 2 * 192 * 384;
constexpr double weights       = 2 * layer_weights + 2 * 1000.0 * 192 + 64 * 192;

// Sharded over 4 chips of data to this degree.
SmallScenario zero(int degree, std::vector<std::string> changes = {})
{
  const json split{{"embed", "data"}}, whole = json::object();
  const json batch{{"batch", "data"}};
  const json sharding{{"name", "zero"},
                      {"weights", degree >= 3 ? split : whole},
                      {"gradients", degree >= 2 ? split : whole},
                      {"optimizer", degree >= 1 ? split : whole},
                      {"activations", batch},
                      {"compute", batch}};
  return {.slice       = "4x1x1",
          .model       = "tiny-serial",
          .batch       = 16,
          .remat       = "none",
          .sharding    = sharding,
          .mesh        = {{"data", {"x", "y", "z"}}},
          .micro_batch = 1,
          .changes     = std::move(changes)};
}

// Bytes of all the full tensors that a step's collectives of a kind carry, scalars apart.
double carried(const Prepared& p, CollectiveKind kind)
{
  double sum = 0;
  each_operation(p.sharded, 0, [&](const DeviceOperation& op, double times) {
    if (op.kind == DeviceOperation::Kind::collective && op.collective.kind == kind && op.collective.full.value() > 4)
      sum += times * op.collective.full.value();
  });
  return sum;
}

constexpr auto gather  = CollectiveKind::all_gather;
constexpr auto scatter = CollectiveKind::reduce_scatter;
constexpr auto reduce  = CollectiveKind::all_reduce;
const std::string last = R"(software.reduce_gradients="last micro-batch")";
const std::string bf16 = "software.parameters_dtype=bf16";

} // namespace

TEST_CASE("ZeRO: what stays on a device")
{
  for (const int degree : {0, 1, 2, 3}) {
    CAPTURE(degree);
    const Memory m = memory(test::prepare(zero(degree)).sharded);
    CHECK(m.parameters.value() == weights * 4 / (degree >= 3 ? 4 : 1));
    CHECK(m.gradients.value() == weights * 2 / (degree >= 2 ? 4 : 1));
    CHECK(m.optimizer_state.value() == weights * 8 / (degree >= 1 ? 4 : 1));
    // In bf16, beside a master copy in f32 that lies with the optimizer's state.
    const Memory half = memory(test::prepare(zero(degree, {bf16})).sharded);
    CHECK(half.parameters.value() == weights * 2 / (degree >= 3 ? 4 : 1));
    CHECK(half.optimizer_state.value() == weights * 12 / (degree >= 1 ? 4 : 1));
  }
}

TEST_CASE("ZeRO: gradients that wait for the last micro-batch are whole until then, as with FSDP's no_sync")
{
  for (const int degree : {0, 1, 2, 3})
    CHECK(memory(test::prepare(zero(degree, {last})).sharded).gradients.value() == Approx(weights * 2));
  // Of one micro-batch nothing waits.
  SmallScenario one = zero(3, {last});
  one.micro_batch   = 4;
  CHECK(memory(test::prepare(one).sharded).gradients.value() == weights * 2 / 4);
}

TEST_CASE("ZeRO: what a step of four micro-batches communicates")
{
  for (const std::string& parameters : {std::string("software.parameters_dtype=f32"), bf16}) {
    const double stored = parameters == bf16 ? 2 : 4;
    for (const bool each : {true, false}) {
      std::vector<std::string> changes{parameters};
      if (!each)
        changes.push_back(last);
      const double times = each ? 4 : 1;
      CAPTURE(parameters, each);
      const Prepared none = test::prepare(zero(0, changes));
      CHECK(carried(none, reduce) == times * weights * 2);
      CHECK(carried(none, gather) == 0);
      CHECK(carried(none, scatter) == 0);
      const Prepared one = test::prepare(zero(1, changes));
      CHECK(carried(one, reduce) == times * weights * 2);
      CHECK(carried(one, gather) == weights * stored); // the updated weights
      CHECK(carried(one, scatter) == 0);
      const Prepared two = test::prepare(zero(2, changes));
      CHECK(carried(two, scatter) == times * weights * 2);
      CHECK(carried(two, gather) == weights * stored);
      CHECK(carried(two, reduce) == 0);
    }
  }
  // ZeRO-3 gathers for each pass: the layers' weights twice a micro-batch, the tables where they are read.
  const Prepared three = test::prepare(zero(3));
  CHECK(carried(three, scatter) == 4 * weights * 2);
  CHECK(carried(three, reduce) == 0);
  CHECK(carried(three, gather) >= 4 * 2 * 2 * layer_weights * 2);
  CHECK(carried(three, gather) <= 4 * 2 * weights * 2);
}

TEST_CASE("gradients of micro-batches are added up in the products or by kernels of their own")
{
  const auto moved = [](const char* accumulation, const char* dtype, bool kernels) {
    const Prepared p = test::prepare(zero(0, {std::string("software.gradient_accumulation=") + accumulation,
                                              std::string("software.accumulation_dtype=") + dtype, last}));
    double bytes     = 0;
    each_operation(p.sharded, 0, [&](const DeviceOperation& op, double times) {
      if (op.pass != Pass::update && op.name.starts_with("accumulate ") == kernels)
        bytes += times * op.work.hbm.value();
    });
    return bytes;
  };
  // Einsums' gradients: all weights but the embedding and the positions, which are looked up.
  const double products = 2 * layer_weights + 1000 * 192;
  const double without  = moved("none", "f32", false);
  CHECK(moved("none", "f32", true) == 0);
  for (const auto& [dtype, size] : {std::pair("f32", 4.0), {"bf16", 2.0}}) {
    // Fused, the sum is read and written instead of the product's own bf16 result; four times.
    CHECK(moved("fused", dtype, false) - without == Approx(4 * products * (2 * size - 2)));
    CHECK(moved("fused", dtype, true) == 0);
    // Separately, the result is written, read, and the sum read and written.
    CHECK(moved("separate", dtype, false) == Approx(without));
    CHECK(moved("separate", dtype, true) == Approx(4 * products * (2 + 2 * size)));
  }
}
