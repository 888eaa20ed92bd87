#include "sim/workloads/micro_benchmark.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

TEST_CASE("a micro-benchmark is its operation once on every device")
{
  MicroBenchmark benchmark;
  benchmark.operation.name     = "a copy";
  benchmark.operation.work.hbm = Bytes(10);
  const Programs all           = programs_of(benchmark, {{{"all", 8}}});
  CHECK(all.program.programs.empty());
  CHECK(all.sharded.mesh.devices() == 8);
  REQUIRE(all.sharded.stages.size() == 1);
  REQUIRE(all.sharded.programs.size() == 1);
  const std::vector<DeviceBlock>& blocks = all.sharded.programs[0].blocks;
  REQUIRE(blocks.size() == 1);
  REQUIRE(blocks[0].operations.size() == 1);
  CHECK(blocks[0].operations[0].name == "a copy");
  CHECK(blocks[0].operations[0].work.hbm.value() == 10);
  REQUIRE(all.sharded.stages[0].steps.size() == 1); // one step, one iteration
  CHECK(all.sharded.stages[0].steps[0].count == 1);
}
