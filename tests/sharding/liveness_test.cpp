#include "sim/sharding/liveness.hpp"
#include "tests/support/two_products.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test::two_products;

TEST_CASE("liveness: from the operation that makes a version to the last that reads it")
{
  const Block two                 = block(Pass::forward);
  const BlockLayouts lies         = layouts(two, mesh, sharding(), 0);
  const std::vector<Placed> order = overlap(two, lies, {}, {});
  // gather input 0, gather up 1, first 2, gather down 3, second 4, reduce-scatter 5
  const Standing standing{.operations = {2, 4, 6}, .sums = {2, 4, 0}, .collectives = {0, 1, 3, 5}};
  const std::vector<Buffer> buffers = liveness(two, lies, order, standing, mesh, sharding(), Accumulation::none);
  std::vector<std::string> found;
  for (const Buffer& one : buffers)
    found.push_back(one.name + " " + std::to_string(one.first) + " to " + std::to_string(one.last));
  CHECK(found == std::vector<std::string>{"input 0 to 2", "up 1 to 2", "hidden 2 to 4", "down 3 to 4", "output 4 to 5",
                                          "output 5 to 6"});
  CHECK(buffers[1].kind == Buffer::Kind::gathered_weights);
  CHECK(buffers[1].size == Bytes(2 * 16 * 8));
}
