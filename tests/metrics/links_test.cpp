#include "tests/support/measured.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("bytes on the links are those that the collectives carry")
{
  const Prepared p = test::prepare({.model = "tiny-serial", .sharding = "fsdp", .mesh = {{"data", {"x", "y", "z"}}}});
  double carried   = 0;
  for (const DeviceBlock& block : p.sharded.programs.front().blocks)
    for (const DeviceOperation& op : block.operations)
      if (op.kind == DeviceOperation::Kind::collective)
        carried += static_cast<double>(block.count) * op.collective.full.value() * 63 / 64 *
                   (op.collective.kind == CollectiveKind::all_reduce ? 2 : 1);
  double sent = 0;
  for (const LinkUse& link : measured(p).links)
    sent += link.sent.value();
  CHECK(sent == Approx(carried)); // every device sends S (n-1)/n for a gather or a scatter of S
}
