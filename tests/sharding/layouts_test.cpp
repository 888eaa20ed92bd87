#include "sim/sharding/layouts.hpp"
#include "sim/sharding/liveness.hpp"
#include "tests/support/two_products.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test::two_products;

TEST_CASE("layouts: what a product reads and makes, and the collectives before it")
{
  const Block two         = block(Pass::forward);
  const BlockLayouts lies = layouts(two, mesh, sharding(), 0);
  REQUIRE(lies.operations.size() == 3); // and a reader of the output
  std::vector<std::string> found;
  for (std::size_t i = 0; i < lies.operations.size(); ++i)
    for (const BlockCollective& one : lies.collectives_before(i))
      found.push_back(std::to_string(i) + " " + text(two, one));
  CHECK(found == std::vector<std::string>{"0 all-gather input over model", "0 all-gather up over data",
                                          "1 all-gather down over data", "2 reduce-scatter output over model"});
  CHECK(lies.collectives[0].elements == 8 / 2 * 16);  // the whole activation of its tokens
  CHECK(lies.collectives[1].elements == 16 * 32 / 4); // the weight, split over model
  CHECK(lies.collectives[3].elements == 8 / 2 * 16);
  const Version& made = lies.version(lies.outputs_of(1).front().version);
  CHECK(made.layout.partial == model); // the sum over hidden channels
  CHECK(made.origin == Version::Origin::operations);
  CHECK(lies.version(lies.inputs_of(2).front()).elements == 8 / 2 * 16 / 4);
  CHECK(saved(two, lies) == Bytes(8 / 2 * 16 / 4 * 2)); // as the input is stored
}

TEST_CASE("layouts: what is whole in storage is sliced, which takes no collective and no memory of its own")
{
  ShardingRules rules     = sharding();
  rules.weights           = {};
  const Block two         = block(Pass::forward);
  const BlockLayouts lies = layouts(two, mesh, rules, 0);
  for (const BlockCollective& one : lies.collectives)
    CHECK(two.tensor(one.tensor).kind == TensorKind::activation);
  const Version& read = lies.version(lies.inputs_of(0)[1]);
  CHECK(read.tensor == up);
  CHECK(read.elements == 16 * 32 / 4);
  CHECK(read.holder == up); // the stored one
}
