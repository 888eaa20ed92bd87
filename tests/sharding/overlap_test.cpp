#include "sim/sharding/layouts.hpp"
#include "sim/sharding/overlap.hpp"
#include "tests/support/two_products.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace podsim;
using namespace podsim::test::two_products;

namespace {

std::vector<std::string> order_text(const Block& block, const BlockLayouts& lies, const std::vector<Placed>& order)
{
  std::vector<std::string> all;
  for (const Placed& one : order) {
    const auto index = static_cast<std::size_t>(one.index);
    all.push_back((one.asynchronous ? "beside: " : "") +
                  (one.kind == Placed::Kind::collective  ? text(block, lies.collectives[index])
                   : one.kind == Placed::Kind::operation ? block.operations[index].name
                                                         : "output"));
  }
  return all;
}

} // namespace

TEST_CASE("overlap: gathers of weights run beside the order, and so does an activation's for the next gradient")
{
  const Block two         = block(Pass::backward);
  const BlockLayouts lies = layouts(two, mesh, sharding(), 0);
  CHECK(order_text(two, lies, overlap(two, lies, {.weight_gathers = true}, {})) ==
        std::vector<std::string>{"all-gather input over model", "beside: all-gather up over data", "first",
                                 "beside: all-gather down over data", "second", "reduce-scatter output over model",
                                 "output"});
  // Whose gradient is `second`, if it read another saved activation: it starts before `first`, after what is before it.
  Block other             = two;
  const TensorId residual = other.add({"residual", TensorKind::activation, Dtype::bf16, two.tensors[input].shape});
  other.operations[1].inputs.front() = {residual};
  const BlockLayouts others          = layouts(other, mesh, sharding(), 0);
  const std::vector<Placed> order    = overlap(other, others, {.activation_gathers = true}, {});
  CHECK(order_text(other, others, order) ==
        std::vector<std::string>{"all-gather input over model", "all-gather up over data",
                                 "beside: all-gather residual over model", "first", "all-gather down over data",
                                 "second", "reduce-scatter output over model", "output"});
  CHECK(order[2].after_stream);
}
