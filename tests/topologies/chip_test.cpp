#include "scenarios/catalogue.hpp"
#include "topologies/chip.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

using namespace podsim;

namespace {

Chip round_chip()
{
  Chip chip;
  chip.matrix_peak       = FlopsPerSecond(100e12);
  chip.matrix_efficiency = 0.5;
  chip.matrix_unit       = SystolicArray{.rows = 8, .depth = 128, .columns = 128};
  chip.hbm_bandwidth     = BytesPerSecond(1e12);
  chip.hbm_efficiency    = 0.8;
  chip.vector_rate       = OpsPerSecond(4e12);
  chip.dispatch          = Seconds(2e-6);
  chip.pipeline_fill     = Bytes(8e6);
  return chip;
}

// A processor does 0.5 TFLOP/s at its best, 1e12 / 2 multiplies and adds a second each.
Chip round_gpu()
{
  Chip chip;
  chip.matrix_peak       = FlopsPerSecond(100e12);
  chip.matrix_efficiency = 0.5;
  chip.matrix_unit       = TiledProcessors{
            .processors = 100, .tiles = {{256, 128, 1}, {128, 128, 0.8}, {64, 64, 0.5}}, .depth_fill = 128, .split_k = 4};
  chip.hbm_bandwidth  = BytesPerSecond(1e12);
  chip.hbm_efficiency = 0.8;
  chip.vector_rate    = OpsPerSecond(4e12);
  chip.dispatch       = Seconds(5e-6);
  return chip;
}

// A chip of the catalogue, as one of `devices` parts.
Chip catalogued(const std::string& name, int devices = 1)
{
  Document document;
  *document.json = parse_json_file(Catalogue(PODSIM_SOURCE_DIR).file(Shelf::chips, name));
  document.json->erase("schema_version");
  if (devices > 1)
    (*document.json)["devices"] = devices;
  return read_chip(Reader(document));
}

// A square bf16 product whose operands come from HBM and whose result goes there.
double square_product(double n, const Chip& chip)
{
  return operation_time({.matrix = {1, n, n, n}, .hbm = Bytes(6 * n * n), .vector = Ops(0)}, chip).total().value();
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

TEST_CASE("an operation that was fused away takes no time")
{
  for (const Chip& chip : {round_chip(), round_gpu()}) {
    CHECK(operation_time(Work{}, chip).total() == Seconds(0));
    CHECK(operation_time({.matrix = {1, 0, 8, 8}}, chip).total() == Seconds(0));
    CHECK(operation_time({.vector = Ops(1)}, chip).total() > chip.dispatch);
  }
}

TEST_CASE("a kernel of its own brings its share of the peak, unpadded")
{
  const Work attention{.matrix = {3, 100, 100, 100}, .matrix_efficiency = 0.25};
  CHECK(operation_time(attention, round_chip()).matrix.value() == Approx(6e6 / 25e12));
  CHECK(operation_time(attention, round_gpu()).matrix.value() == Approx(6e6 / 25e12));
}

TEST_CASE("a GPU computes a product in waves of tiles")
{
  const Chip chip   = round_gpu();
  const auto matrix = [&](double batch, double m, double k, double n) {
    return operation_time({.matrix = {batch, m, k, n}}, chip).matrix.value();
  };
  const auto tile = [](double rows, double columns, double depth, double relative) {
    return 2 * rows * columns * depth / (0.5e12 * relative);
  };
  // 10 x 10 tiles of 256 x 128 are one wave of 896 + 128 deep. Smaller tiles: 2 waves of half the size at .8.
  CHECK(matrix(1, 2560, 896, 1280) == Approx(tile(256, 128, 1024, 1)));
  CHECK(matrix(100, 256, 896, 128) == Approx(tile(256, 128, 1024, 1)));
  CHECK(matrix(100, 200, 896, 70) == Approx(tile(256, 128, 1024, 1))); // what a tile overhangs costs as much
  // 1 x 100 tiles if they lie, 200 if they stand.
  CHECK(matrix(1, 128, 896, 25600) == Approx(tile(256, 128, 1024, 1)));
  CHECK(matrix(1, 25600, 896, 128) == Approx(tile(256, 128, 1024, 1)));
  // One tile over: two waves in place of one, or 330 thirds of a tile in four waves, (896 / 3 + 128) deep: 1707 of
  // depth, where two waves have 2048, halves in three waves 1728 and quarters in five 1760. Tiles of 128 x 128 are 220:
  // three waves, 3 x 1024 x (1/2) / .8 = 1920.
  CHECK(matrix(101, 256, 896, 128) == Approx(4 * tile(256, 128, 896.0 / 3 + 128, 1)));
  // From two waves on nothing is split: 201 tiles are three waves, 402 smaller ones five, at 5 / 2 / .8 = 3.125.
  CHECK(matrix(201, 256, 896, 128) == Approx(3 * tile(256, 128, 1024, 1)));
  // 20 tiles of 128 x 128, in four parts each, use 80 processors for 992 + 128 of depth: 1120 x 128 x 128 / .8
  // = 22.9e6. 40 quarters of 256 x 128: 36.7e6; 80 whole tiles of 64 x 64: 4096 x 64 x 64 / .5 = 33.6e6.
  CHECK(matrix(1, 256, 3968, 1280) == Approx(tile(128, 128, 1120, 0.8)));
  // The least that a product takes: one wave of the smallest tile, 64 / 4 + 128 deep.
  CHECK(matrix(1, 1, 64, 1) == Approx(tile(64, 64, 144, 0.5)));
}

TEST_CASE("a GPU's kernel takes its longest unit and a launch")
{
  const Chip chip  = round_gpu();
  const auto total = [&](const Work& work) { return operation_time(work, chip).total().value(); };
  // One wave, 134 us; its 8 MB, 10 us, overlap whole: there is no fill beside the tile's own.
  const double wave = 2.0 * 256 * 128 * 1024 / 0.5e12;
  CHECK(total({.matrix = {1, 2560, 896, 1280}, .hbm = Bytes(8e6)}) == Approx(wave + 5e-6));
  // A small one is bound by HBM: 4.7 us of the smallest tile, 10 us of bytes.
  CHECK(total({.matrix = {1, 64, 64, 64}, .hbm = Bytes(8e6)}) == Approx(10e-6 + 5e-6));
  // An element-wise kernel.
  CHECK(total({.hbm = Bytes(800e6), .vector = Ops(1e6)}) == Approx(1e-3 + 5e-6));
}

TEST_CASE("a device has its share of a chip")
{
  const Chip whole = catalogued("tpu-v4");
  const Chip half  = catalogued("tpu-v4", 2);
  CHECK(whole.devices == 1);
  CHECK(half.devices == 2);
  CHECK(half.matrix_peak.value() == 137.5e12);
  CHECK(half.hbm_capacity.value() == 16.0 * 1024 * 1024 * 1024);
  CHECK(half.hbm_bandwidth.value() == 600e9);
  CHECK(half.vector_rate.value() == 2.15e12);
  CHECK(half.pipeline_fill.value() == 8.0 * 1024 * 1024);
  CHECK(half.power->value() == 189.25);
  CHECK(half.matrix_efficiency == whole.matrix_efficiency);
  CHECK(half.dispatch == whole.dispatch);
  // Half the work on half the chip takes as long.
  const Work work{.matrix = {1, 4096, 4096, 4096}, .hbm = Bytes(100e6), .vector = Ops(1e9)};
  Work split = work;
  split.matrix.m /= 2;
  split.hbm    = work.hbm / 2;
  split.vector = work.vector / 2;
  CHECK(operation_time(split, half).total().value() == Approx(operation_time(work, whole).total().value()));
}

TEST_CASE("every chip of the catalogue can be read")
{
  for (const std::string& name : Catalogue(PODSIM_SOURCE_DIR).names(Shelf::chips)) {
    INFO(name);
    const Chip chip = catalogued(name);
    // A core of v2 and v3 is a device of its own.
    CHECK(chip.devices == (name == "tpu-v2" || name == "tpu-v3" ? 2 : 1));
    CHECK(std::holds_alternative<TiledProcessors>(chip.matrix_unit) == !name.starts_with("tpu"));
    // A large product comes near the peak, within what the unit reaches and what its last wave leaves.
    const double flops = 2 * std::pow(16384.0, 3);
    const double rate  = flops / square_product(16384, chip);
    CHECK(rate < chip.matrix_peak.value() * chip.matrix_efficiency);
    CHECK(rate > chip.matrix_peak.value() * chip.matrix_efficiency * 0.93);
  }
}

TEST_CASE("the chips meet the micro-benchmarks that they were set to")
{
  const auto rate = [](double n, const Chip& chip) { return 2 * n * n * n / square_product(n, chip) / 1e12; };
  CHECK(rate(8192, catalogued("tpu-v6e")) == Approx(827.47).epsilon(0.001));
  const Chip core = catalogued("tpu-v7x", 2); // measured on one of two cores
  CHECK(rate(128, core) == Approx(2.59).epsilon(0.01));
  CHECK(rate(1024, core) == Approx(349.73).epsilon(0.06));
  CHECK(rate(2048, core) == Approx(679.28).epsilon(0.025));
  CHECK(rate(4096, core) == Approx(892.94).epsilon(0.025));
  CHECK(rate(16384, core) == Approx(950.13).epsilon(0.01));
  CHECK(rate(32768, core) == Approx(956.38).epsilon(0.001));
}
