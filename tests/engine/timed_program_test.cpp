#include "sim/engine/timed_program.hpp"
#include "tests/support/device_blocks.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>

using namespace podsim;
using namespace podsim::test;

// A layer computes C in all, and a collective of T beside it takes a fifth of the processors: T / 5 is lost, but never
// more than C / 4, what all of C would lose.
TEST_CASE("a collective beside the computation takes some of a GPU's processors")
{
  const auto durations = [](int collective) {
    Prepared p = test::prepare(fully_sharded({}));
    TiledProcessors processors{.processors = 100, .tiles = {{128, 128, 1.0}}, .collective_processors = collective};
    p.scenario.machine.chip.matrix_unit = processors;
    const TimedProgram timed = time_program(p.sharded, p.scenario.machine, p.scenario.placement, MultiAxis::pipelined,
                                            Granularity::collective);
    const auto& blocks       = p.sharded.programs.front().blocks;
    double compute = 0, beside = 0;
    for (std::size_t b = 0; b < blocks.size(); ++b)
      if (blocks[b].name == "layer")
        for (std::size_t o = 0; o < blocks[b].operations.size(); ++o) {
          const bool computes = blocks[b].operations[o].kind == DeviceOperation::Kind::compute;
          (computes ? compute : beside) += static_cast<double>(timed.programs.front()[b][o].duration);
        }
    return std::pair(compute, beside);
  };
  const auto [alone, collectives] = durations(0);
  const auto [shared, same]       = durations(20);
  CHECK(same == collectives);
  CHECK(shared - alone == Approx(std::min(collectives / 5, alone / 4)).epsilon(1e-6));
}
