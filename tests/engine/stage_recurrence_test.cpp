// A pipeline by recurrence against the same one by events: to the last bit, or not at all.

#include "sim/engine/stage_recurrence.hpp"

#include "sim/metrics/metrics.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace podsim;
using namespace podsim::test;
using nlohmann::json;

namespace {

// The meetings that were set right, if it was reckoned; then all that metrics say of it must be what they say of the
// simulation.
std::optional<int> check_reckoned(const SmallScenario& small)
{
  const Prepared p         = test::prepare(small);
  const Scenario& s        = p.scenario;
  const TimedProgram timed = timed_program(p, Granularity::automatic);
  const auto reckoned      = stage_recurrence(p.sharded, timed, s.machine, s.placement, classes_on(s.machine, p));
  if (!reckoned)
    return {};
  const Trace trace = test::simulate(p, Granularity::automatic, false);
  const Metrics a   = measure(p.program, p.sharded, timed, s.machine, s.placement, reckoned->course, reckoned->tally);
  const Metrics b   = measure(p.program, p.sharded, timed, s.machine, s.placement, trace);
  CHECK(a.step_time.value() == b.step_time.value());
  CHECK(a.bubble == b.bubble);
  CHECK(a.critical == b.critical);
  CHECK(a.layer_forward->value() == b.layer_forward->value());
  CHECK(a.layer_backward->value() == b.layer_backward->value());
  REQUIRE(a.breakdowns.size() == b.breakdowns.size());
  for (std::size_t c = 0; c < a.breakdowns.size(); ++c) {
    REQUIRE(a.breakdowns[c].size() == b.breakdowns[c].size());
    for (std::size_t i = 0; i < a.breakdowns[c].size(); ++i) {
      CAPTURE(c, a.breakdowns[c][i].first);
      CHECK(a.breakdowns[c][i].first == b.breakdowns[c][i].first);
      CHECK(a.breakdowns[c][i].second.value() == b.breakdowns[c][i].second.value());
    }
  }
  return reckoned->meetings;
}

SmallScenario piped(int stages, const json& pipeline, int micro_batches)
{
  SmallScenario s{.slice = "1x1x1", .model = "tiny-serial", .mesh = {{"pipeline", "dcn"}}};
  s.pods           = stages;
  s.sharding       = "data-parallel";
  s.pipeline       = pipeline;
  s.micro_batch    = 1;
  s.batch          = micro_batches;
  const int chunks = pipeline.value("chunks", 1);
  s.changes        = {fmt::format("model.layers={}", stages * chunks * 2)};
  return s;
}

} // namespace

TEST_CASE("pipelines by recurrence are those by events, whatever the schedule and the rate of the NIC")
{
  int reckoned = 0, all = 0, meetings = 0;
  for (const int stages : {2, 3, 4, 8})
    for (const json& pipeline :
         {json{{"schedule", "gpipe"}}, json{{"schedule", "1f1b"}}, json{{"schedule", "interleaved"}, {"chunks", 2}}})
      // From transfers that hardly matter to those that never stop: then messages meet, and are set right or left.
      for (const char* rate : {"50 GB/s", "2 GB/s", "200 MB/s", "20 MB/s"}) {
        SmallScenario s = piped(stages, pipeline, 4 * stages);
        s.changes.push_back(fmt::format("machine.host.nic_bandwidth={}", rate));
        s.changes.emplace_back("machine.host.pcie_bandwidth=100 GB/s");
        CAPTURE(stages, pipeline.dump(), rate);
        ++all;
        const std::optional<int> met = check_reckoned(s);
        reckoned += met ? 1 : 0;
        meetings += met.value_or(0);
      }
  CAPTURE(all, reckoned);
  CHECK(reckoned > all / 2);
  CHECK(meetings > 0);
}

TEST_CASE("what others have a say in is left to events")
{
  const auto refused = [](const SmallScenario& small) {
    const Prepared p  = test::prepare(small);
    const Scenario& s = p.scenario;
    return !stage_recurrence(p.sharded, timed_program(p, Granularity::automatic), s.machine, s.placement,
                             classes_on(s.machine, p));
  };
  SmallScenario s = piped(4, {{"schedule", "1f1b"}}, 8);
  CHECK_FALSE(refused(s));
  s.changes.emplace_back(R"(faults={"chips": [{"at": 1, "compute": 0.5}]})");
  CHECK(refused(s));                                                               // a stage that is slow
  CHECK(refused({.slice = "4x4x1", .batch = 16, .mesh = {{"data", {"x", "y"}}}})); // no stages
  SmallScenario line = piped(4, {{"schedule", "1f1b"}}, 8);
  line.slice         = "4x1x1";
  line.batch         = 32;
  line.mesh          = {{"data", "x"}, {"pipeline", "dcn"}};
  line.changes.emplace_back("machine.ici.cube=5"); // an open line, whose places differ
  CHECK(refused(line));
}
