#include "sim/metrics/possible.hpp"

#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <string>

using namespace podsim;
using namespace podsim::test;

namespace {

Metrics small_metrics()
{
  return *evaluate(test::prepare({.sharding = "gspmd-2d"})).metrics;
}

} // namespace

TEST_CASE("what cannot be is a fault of podsim's, which names the scenario and asks for a report")
{
  const Metrics sound = small_metrics();
  CHECK_NOTHROW(check_possible(sound, "0123abc"));
  const auto told = [&](const std::function<void(Metrics&)>& change) {
    Metrics broken = sound;
    broken.routing = Routing{100, 60, 40};
    CHECK_NOTHROW(check_possible(broken, "0123abc"));
    change(broken);
    try {
      check_possible(broken, "0123abc");
    } catch (const ImpossibleFigure& wrong) {
      CHECK_THAT(wrong.what(), Catch::Contains("0123abc") && Catch::Contains("report"));
      return std::string(wrong.what());
    }
    return std::string("nothing");
  };
  CHECK_THAT(told([](Metrics& m) { m.links.at(0).busy_fraction = 1.01; }), Catch::Contains("link ici_x"));
  CHECK_THAT(told([](Metrics& m) { m.device_use = 1.01; }), Catch::Contains("peak"));
  CHECK_THAT(told([](Metrics& m) { m.hfu = 1.01; }), Catch::Contains("HFU is 1.01"));
  CHECK_THAT(told([](Metrics& m) { m.hfu = std::nan(""); }), Catch::Contains("HFU is nan"));
  CHECK_THAT(told([](Metrics& m) { m.bubble = -0.01; }), Catch::Contains("bubble"));
  CHECK_THAT(told([](Metrics& m) { m.breakdowns.at(0).at(0).second += m.step_time * 1e-6; }),
             Catch::Contains("adds up to"));
  CHECK_THAT(told([](Metrics& m) {
               m.breakdowns.at(0).at(0).second += m.step_time;
               m.breakdowns.at(0).emplace_back("made up", m.step_time * -1.0);
             }),
             Catch::Contains("made up"));
  CHECK_THAT(told([](Metrics& m) { m.routing->dropped = 39; }),
             Catch::Contains("keep 60") && Catch::Contains("drop 39"));
  CHECK(told([](Metrics& m) { m.mfu = 1.3; }) == "nothing"); // PaLM's convention may count more than is executed
}
