// Predictions beside what was published. The constants were calibrated on the scenarios in scenarios/calibration only;
// PaLM is a prediction, with the room that its issue gave it.

#include "sim/evaluate/evaluate.hpp"
#include "sim/jobs/engines.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <set>

using namespace podsim;

namespace {

Evaluation result_of(const std::string& name)
{
  const Catalogue catalogue(PODSIM_SOURCE_DIR);
  Evaluation result =
      evaluate(read_scenario(resolve(catalogue.file(Shelf::scenarios, name), {}, catalogue)), {on_engine("simgrid")});
  REQUIRE(result.metrics);
  return result;
}

} // namespace

TEST_CASE("PaLM 540B on two pods")
{
  const Metrics two = *result_of("training/palm-540b").metrics;
  CHECK(two.mfu == Approx(0.462).margin(0.02));
  CHECK(two.hfu == Approx(0.578).margin(0.025));
  CHECK(two.hfu / two.mfu == Approx(1.251).margin(0.01));
  const Metrics one = *result_of("training/palm-540b-one-pod").metrics;
  CHECK(two.tokens_per_s / one.tokens_per_s == Approx(1.95).margin(0.03));
  CHECK(two.dcn_burst.value() * 8 == Approx(81e12).epsilon(0.01)); // the NIC's rate comes from it
}

TEST_CASE("the cases of the calibration stay where they were fitted")
{
  const auto step_time = [](const char* name) { return result_of(name).metrics->step_time.value(); };
  // TPU v4's efficiency is a compromise between two cases: the mean of 480B's three rows, and 22B.
  CHECK(step_time("calibration/mlperf-480b") == Approx(21.47).epsilon(0.05));
  CHECK(result_of("calibration/maxtext-22b").metrics->mfu_without_attention == Approx(0.567).epsilon(0.05));
  CHECK(step_time("calibration/lingvo-128b-16x16") == Approx(128 * 1024 / 18000.0).epsilon(0.002));
  // 6N + 6LHQT FLOPs a token at the published MFU
  const double attention = 6.0 * 32 * 32 * 256 * 2048;
  CHECK(step_time("calibration/maxtext-16b") ==
        Approx((6 * 16273899520 + attention) * 1536 * 2048 / (256 * 197e12 * 0.611)).epsilon(0.002));
  CHECK(step_time("calibration/maxtext-32b") ==
        Approx((6 * 32547799040 + attention) * 512 * 2048 / (64 * 459e12 * 0.7147)).epsilon(0.002));
}

TEST_CASE("the GPU cases of the calibration stay where they were fitted")
{
  struct Timing {
    const char* name;
    double forward, backward; // ms, arXiv:2205.05198, table 4
  };
  for (const Timing& layer : {Timing{"none-sp0", 7.7, 11.9},
                              {"none-sp1", 7.2, 11.8},
                              {"full-sp0", 7.7, 19.5},
                              {"selective-sp0", 7.7, 13.2},
                              {"selective-sp1", 7.2, 13.1}}) {
    CAPTURE(layer.name);
    const Metrics metrics = *result_of("calibration/korthikanti22-layer-" + std::string(layer.name)).metrics;
    CHECK(metrics.layer_forward.value().value() * 1e3 == Approx(layer.forward).epsilon(0.01));
    CHECK(metrics.layer_backward.value().value() * 1e3 == Approx(layer.backward).epsilon(0.035));
  }
  CHECK(result_of("calibration/narayanan21-t1-1.7b").metrics->step_time.value() == Approx(3.528).epsilon(0.005));
  CHECK(result_of("calibration/mpt-13b-8").metrics->step_time.value() ==
        Approx(16 * 2048 / (8 * 4792.0)).epsilon(0.015));
}

TEST_CASE("every scenario of the catalogue runs, and nothing calibrated is scored")
{
  const Catalogue catalogue(PODSIM_SOURCE_DIR);
  std::map<std::string, bool> scored; // figures by id: whether any of that id is a test
  std::set<std::string> fitted;       // ids that a constant names
  for (const std::string& name : catalogue.names(Shelf::scenarios)) {
    CAPTURE(name);
    const Evaluation result = result_of(name);
    CHECK(result.status == Status::ok);
    for (const PublishedFigure& figure : result.published) {
      if (name.starts_with("calibration/"))
        CHECK(figure.calibration);
      scored[figure.id] = scored[figure.id] || !figure.calibration;
    }
    for (const UsedConstant& constant : result.constants) {
      CHECK_FALSE(constant.source.empty());
      fitted.insert(constant.calibrated_on.begin(), constant.calibrated_on.end());
    }
  }
  for (const std::string& id : fitted) {
    CAPTURE(id);
    REQUIRE(scored.contains(id));
    CHECK_FALSE(scored.at(id));
  }
}
