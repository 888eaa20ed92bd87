// What the backward pass computes again.

#include "sim/metrics/metrics.hpp"
#include "tests/support/device_blocks.hpp"
#include "tests/support/prepared.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace podsim;
using namespace podsim::test;

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
    const FlopsPerToken flops = flops_per_token(catalogued(name).program);
    return flops.hardware() / flops.model();
  };
  // 480B repeats a layer's forward pass but for the MLP's last product, which no gradient reads; and no logits.
  const double down  = 16384.0 * 131072;
  const double layer = 2 * 16384.0 * 32768 + 2 * 16384.0 * 128 + 3 * down + 2 * 32768.0 * 512; // with attention
  const double once  = 64 * layer + 30522.0 * 16384;
  CHECK(ratio("calibration/mlperf-480b") == Approx(1 + 64 * (layer - down) / (3 * once)).epsilon(1e-3));
  CHECK(ratio("training/palm-540b") == Approx(57.8 / 46.2).margin(0.001));
}

TEST_CASE("remat of block inputs repeats what the gradients need: all but the last product")
{
  const auto repeated = [](const char* remat) {
    return flops_per_token(test::prepare({.model = "tiny-serial", .remat = remat}).program).repeated;
  };
  CHECK(repeated("full") - repeated("block-inputs") == Approx(2 * 2.0 * 192 * 384)); // 2 layers' down projections
}

TEST_CASE("remat repeats the fused kernel, and its gradient's fifth product is no remat")
{
  for (const char* remat : {"none", "attention", "full"}) {
    const Prepared with    = test::prepare({.remat = remat, .changes = {fused}});
    const Prepared without = test::prepare({.remat = remat});
    CAPTURE(remat);
    CHECK(named(with, "layer backward", "attention again").size() == (std::string(remat) == "none" ? 0 : 1));
    CHECK(flops_per_token(with.program).repeated == flops_per_token(without.program).repeated);
    CHECK(flops_per_token(with.program).model() == flops_per_token(without.program).model());
  }
}
