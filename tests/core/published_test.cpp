#include "sim/core/published.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

TEST_CASE("families: of the chip, but for what is no training step")
{
  CHECK(chip_family("NVIDIA A100 SXM4 80 GB") == "A100");
  CHECK(chip_family("TPU v4") == "TPU v4");
  CHECK(chip_family("TPU v4i") == "TPU v4i");
  CHECK(usual_family(podsim::figure("mfu"), "TPU v5e") == "TPU v5e");
  CHECK(usual_family(podsim::figure("hardware_flops_per_token"), "TPU v5e") == "FLOPs");
  CHECK(usual_family(podsim::figure("achieved_flops"), "TPU v5e") == "micro-benchmarks");
}
