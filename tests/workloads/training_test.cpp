#include "sim/workloads/training.hpp"

#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("a training step makes its program of one micro-batch, and a schedule that runs it as often as there are")
{
  // 64 sequences on 16 replicas of 2 each: 2 micro-batches of 32 sequences.
  SmallScenario small;
  small.micro_batch            = 2;
  const Scenario s             = test::prepare(small).scenario;
  const Programs parts         = programs_of(s.training(), s.mesh, s.software.precision, s.software.compilation);
  Training whole               = s.training();
  whole.step.micro_batch       = 0;
  whole.pipeline.micro_batches = 1;
  const Programs once          = programs_of(whole, s.mesh, s.software.precision, s.software.compilation);
  CHECK(s.training().pipeline.micro_batches == 2);
  const auto layer_runs = [](const Programs& all) {
    std::int64_t runs = 0;
    for (const auto& step : all.sharded.stages[0].steps)
      runs += all.sharded.programs[0].blocks[step.block].name == "layer" ? step.count : 0;
    return runs;
  };
  CHECK(layer_runs(parts) == 2 * layer_runs(once));
}
