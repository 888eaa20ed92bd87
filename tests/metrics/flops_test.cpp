// The FLOPs of a token, as each convention counts them and as they are executed.

#include "sim/metrics/metrics.hpp"
#include "tests/support/prepared.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace podsim;
using namespace podsim::test;

namespace {

Metrics small_metrics()
{
  const Prepared prepared = test::prepare({});
  SimulationOptions options;
  return *evaluate(prepared, {options}).metrics;
}

} // namespace

TEST_CASE("each convention counts the FLOPs that its source counts")
{
  const Metrics m = small_metrics();
  // tiny: 3 layers of 192 channels, 24 heads of 16, 64 tokens a sequence, vocabulary 1000; 64 chips of 100 TFLOP/s.
  const double n         = m.model.active_parameters;
  const double attention = 12.0 * 3 * 24 * 16 * 64;
  const double narayanan = 96.0 * 3 * 192 * 192 * (1 + 64.0 / (6 * 192) + 1000.0 / (16 * 3 * 192));
  const auto per_token   = [&](Counting counting) { return m.flops.counted(counting); };
  CHECK(per_token(Counting::palm) == Approx(6 * n + attention));
  CHECK(per_token(Counting::six_n) == Approx(6 * n));
  CHECK(per_token(Counting::six_n_causal) == Approx(6 * n + attention / 2));
  CHECK(per_token(Counting::two_n) == Approx(2 * n));
  CHECK(per_token(Counting::eight_n) == Approx(8 * n));
  CHECK(per_token(Counting::narayanan) == Approx(narayanan));
  CHECK(per_token(Counting::palm_hardware) > per_token(Counting::palm)); // full remat

  const double rate = m.tokens_per_s / 64; // of a chip
  CHECK(test::value_of("tokens_per_s_per_chip", m, Counting::none) == Approx(rate));
  CHECK(test::value_of("sequences_per_s", m, Counting::none) == Approx(m.tokens_per_s / 64));
  CHECK(test::value_of("sequences_per_s_per_chip", m, Counting::none) == Approx(rate / 64));
  CHECK(test::value_of("mfu", m, Counting::palm) == Approx(m.mfu));
  CHECK(test::value_of("mfu", m, Counting::six_n) == Approx(m.mfu_without_attention));
  CHECK(test::value_of("hfu", m, Counting::executed) == Approx(m.hfu));
  CHECK(test::value_of("hfu", m, Counting::palm_hardware) == Approx(m.hfu).epsilon(2e-3)); // but for norms' scales
  CHECK(test::value_of("hfu", m, Counting::narayanan) == Approx(rate * narayanan / 100e12));
  CHECK(test::value_of("tflops_per_chip", m, Counting::narayanan) == Approx(rate * narayanan));
  CHECK(test::value_of("model_flops_per_token", m, Counting::two_n) == Approx(2 * n));
  CHECK_FALSE(test::value_of("achieved_bandwidth", m, Counting::none)); // no micro-benchmark
  CHECK(energy_per_token(Watts(200), m) == Approx(200 / rate));
  CHECK_FALSE(energy_per_token({}, m));

  // Three layers fill most of the step, and the backward pass with full remat takes longer than the forward.
  REQUIRE(m.layer_forward);
  REQUIRE(m.layer_backward);
  CHECK(3 * (*m.layer_forward + *m.layer_backward) < m.step_time);
  CHECK(*m.layer_backward > *m.layer_forward);
}

namespace {

std::map<Pass, double> flops_by_pass(const Program& program)
{
  std::map<Pass, double> sums;
  for (const Block& block : program.programs.front().blocks)
    for (const Operation& operation : block.operations)
      sums[operation.pass] += flops(block, operation) * static_cast<double>(block.count) / program.tokens_per_step;
  return sums;
}

} // namespace

TEST_CASE("FLOPs a token agree with PaLM's table 22")
{
  const auto tera = [](const char* name) {
    const FlopsPerToken flops = flops_per_token(catalogued(name).program);
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
    const Program program     = catalogued(name).program;
    const FlopsPerToken count = flops_per_token(program);
    auto executed             = flops_by_pass(program);
    // Positions and norm scales are parameters without FLOPs: at most 0.1% of them.
    CHECK(executed[Pass::forward] == Approx(count.model() / 3).epsilon(1e-3));
    CHECK(executed[Pass::backward] == Approx(2 * executed[Pass::forward]).epsilon(1e-12));
  }
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
