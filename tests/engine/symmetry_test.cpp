#include "sim/engine/symmetry.hpp"

#include "tests/support/faulty.hpp"
#include "tests/support/small_scenario.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("faults that are alike but for their place on closed rings cost the same, and are simulated once")
{
  const SmallScenario torus{
      .slice = "4x4x4", .pods = 2, .batch = 128, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}};
  for (const SmallScenario& s : {torus, two_pods, four_stages}) {
    const Prepared healthy = test::prepare(s);
    const Machine& m       = healthy.scenario.machine;
    CAPTURE(s.slice, s.pods);
    for (const std::string kind : {"chip", "link", "host"}) {
      std::vector<std::pair<Overrides, double>> steps; // of each kind of place, and of the first step with it
      std::int64_t places = 0;
      for (std::int64_t device = 0; device < m.devices(); device += kind == "chip" ? 1 : 3, ++places) {
        Prepared faulty = healthy;
        Overrides own;
        if (kind == "chip")
          own.devices[device] = {.compute = 0.7};
        else if (kind == "link")
          own.links[{device, 0, 0}] = 0.5;
        else
          own.hosts[m.host_of(device)] = 0.5;
        faulty.scenario.machine.overrides = own;
        const double took                 = test::simulate(faulty, Granularity::automatic, false).end.value();
        const Overrides kept = shifted_to_start(own, m, healthy.scenario.placement, healthy.sharded.pipeline);
        const auto known     = std::find_if(steps.begin(), steps.end(), [&](const auto& one) {
          return one.first.devices == kept.devices && one.first.links == kept.links && one.first.hosts == kept.hosts;
        });
        if (known == steps.end())
          steps.emplace_back(kept, took);
        else
          CHECK(known->second == took);
      }
      if (s.slice == torus.slice)
        CHECK(steps.size() <= 4); // as many as a host has chips
      if (s.pods == four_stages.pods && kind == "chip")
        CHECK(steps.size() >= 4); // a stage is like no other
      CHECK(steps.size() <= static_cast<std::size_t>(places));
    }
  }
}
