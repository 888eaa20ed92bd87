#include "topologies/chip.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

namespace {

Chip round_chip()
{
  Chip chip;
  chip.matrix_peak       = FlopsPerSecond(100e12);
  chip.matrix_efficiency = 0.5;
  chip.tile_rows         = 8;
  chip.tile_depth = chip.tile_columns = 128;
  chip.hbm_bandwidth                  = BytesPerSecond(1e12);
  chip.hbm_efficiency                 = 0.8;
  chip.vector_rate                    = OpsPerSecond(4e12);
  chip.dispatch                       = Seconds(2e-6);
  chip.pipeline_fill                  = Bytes(8e6);
  return chip;
}

} // namespace

TEST_CASE("an operation takes its longest unit and what cannot overlap")
{
  const Chip chip = round_chip();
  // 2 x 1024^3 / 50 TFLOP/s = 42.9 us; 6.3 MB / 0.8 TB/s = 7.9 us, which comes in and goes out outside the product.
  Work product{.matrix = {1, 1024, 1024, 1024}, .hbm = Bytes(6.3e6), .vector = Ops(0)};
  CHECK(operation_time(product, chip).total().value() ==
        Approx(2.0 * 1024 * 1024 * 1024 / 50e12 + 6.3e6 / 0.8e12 + 2e-6));
  // A large one has 8 MB outside, 10 us.
  product.matrix = {1, 8192, 8192, 8192};
  product.hbm    = Bytes(400e6);
  CHECK(operation_time(product, chip).total().value() == Approx(2.0 * 8192 * 8192 * 8192 / 50e12 + 10e-6 + 2e-6));
  // Bound by HBM nothing is outside; by the vector unit it is.
  CHECK(operation_time({.hbm = Bytes(800e6), .vector = Ops(1)}, chip).total().value() == Approx(1e-3 + 2e-6));
  CHECK(operation_time({.hbm = Bytes(8e6), .vector = Ops(4e9)}, chip).total().value() == Approx(1e-3 + 10e-6 + 2e-6));
}

TEST_CASE("a product fills whole tiles")
{
  const Chip chip   = round_chip();
  const auto matrix = [&](double m, double k, double n) {
    return operation_time({.matrix = {1, m, k, n}, .hbm = Bytes(0), .vector = Ops(0)}, chip).matrix.value();
  };
  CHECK(matrix(1, 1, 1) == Approx(2.0 * 8 * 128 * 128 / 50e12));
  CHECK(matrix(9, 129, 129) == Approx(2.0 * 16 * 256 * 256 / 50e12));
  CHECK(matrix(16, 256, 256) == Approx(2.0 * 16 * 256 * 256 / 50e12));
}
