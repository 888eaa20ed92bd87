#include "sim/metrics/validation.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace podsim;

TEST_CASE("errors: figures of one run are one case, and what was fitted is apart")
{
  const auto row = [](const std::string& file, double error, bool calibration = false, const std::string& run = "") {
    PublishedFigure published;
    published.id          = file;
    published.metric      = &podsim::figure("mfu");
    published.value       = 0.5;
    published.family      = "TPU v4";
    published.calibration = calibration;
    published.run         = run;
    return ValidatedFigure{published, file, 0.5 * (1 + error), Status::ok, ""};
  };
  const auto families = family_errors({row("a", 0.02), row("a", -0.04), row("b", 0.09), row("c", 0.5, true),
                                       row("d", 0.01, false, "joined"), row("e", -0.05, false, "joined")});
  REQUIRE(families.size() == 1);
  CHECK(families[0].tests.count == 3);
  CHECK(families[0].tests.mean == Approx((0.03 + 0.09 + 0.03) / 3));
  CHECK(families[0].tests.largest == Approx(0.09));
  CHECK(families[0].calibration.count == 1);
  CHECK(families[0].calibration.mean == Approx(0.5));

  auto ratio               = row("a", 0.1);
  ratio.figure.relative_to = "b";
  const auto with_ratio    = family_errors({row("a", 0.02), ratio});
  CHECK(with_ratio[0].tests.count == 2); // a ratio is a case of its own
}
