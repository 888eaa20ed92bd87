#include "sim/studies/training_plan.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

TEST_CASE("study: a planner's figures, by hand")
{
  TrainingPlan plan;
  plan.tokens         = 864e9;
  plan.price          = 2;
  plan.pue            = 1.2;
  plan.grid_intensity = GridIntensity(0.5); // t/MWh
  Figures figures{{"tokens_per_s", 1e6}, {"chips", 100}, {"power", 500}, {"pue", 1.9}};
  add_planned(plan, figures);
  CHECK(figures["days"] == Approx(10));           // 864e9 / 1e6 = 864e3 s
  CHECK(figures["chip_hours"] == Approx(24'000)); // 100 x 240 h
  CHECK(figures["energy"] == Approx(14.4));       // 24,000 h x 500 W x 1.2 = 14.4e6 Wh
  CHECK(figures["co2e"] == Approx(7.2));
  CHECK(figures["cost"] == Approx(48'000));

  // PaLM's own record (appendix B): 1200 h on 6144 chips and 336 h on 3072, 378.5 W, PUE 1.08, 0.079 t/MWh: 271.43 t.
  double tonnes = 0;
  for (const auto& [hours, chips] : {std::pair(1200.0, 6144.0), std::pair(336.0, 3072.0)}) {
    Figures part{{"tokens_per_s", 1e6}, {"chips", chips}, {"power", 378.5}};
    TrainingPlan of_palm;
    of_palm.tokens         = hours * 3600 * 1e6;
    of_palm.pue            = 1.08;
    of_palm.grid_intensity = parse_quantity<GridUnit>("79 g/kWh");
    add_planned(of_palm, part);
    tonnes += part["co2e"];
  }
  CHECK(tonnes == Approx(271.43).epsilon(0.001));

  Figures without{{"tokens_per_s", 1e6}, {"chips", 100}};
  add_planned(plan, without);
  CHECK_FALSE(without.contains("energy"));
  CHECK(without.contains("cost"));
}
