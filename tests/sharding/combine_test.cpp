#include "tests/support/device_blocks.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("collectives of a layer stay apart where the software does not combine them")
{
  const auto gathers = [](const Prepared& p) {
    const auto& all = block(p, "layer").operations;
    return std::count_if(all.begin(), all.end(), [](const DeviceOperation& operation) {
      return operation.kind == DeviceOperation::Kind::collective &&
             operation.collective.kind == CollectiveKind::all_gather;
    });
  };
  CHECK(gathers(test::prepare(fully_sharded({}))) == 1);
  CHECK(gathers(test::prepare(fully_sharded({"software.combined_collectives=false"}))) > 4);
}
