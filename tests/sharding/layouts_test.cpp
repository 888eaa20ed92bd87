// The passes over a block, each by itself, on a product between two pointwise operations: small enough to see by hand.

#include "sim/sharding/layouts.hpp"
#include "sim/sharding/liveness.hpp"
#include "sim/sharding/local_work.hpp"
#include "sim/sharding/overlap.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

namespace {

const Mesh mesh{{{"data", 2}, {"model", 4}}};
constexpr AxisMask data  = 1;
constexpr AxisMask model = 2;

template <class... Rules> DimAxes rules_of(const Rules&... rules)
{
  DimAxes axes{};
  ((axes[static_cast<std::size_t>(rules.first)] = rules.second), ...);
  return axes;
}

using Rule = std::pair<Dim, AxisMask>;

// Tokens over data, channels over model where they are stored; hidden channels over model in the products.
ShardingRules sharding()
{
  ShardingRules rules;
  rules.weights     = rules_of(Rule{Dim::embed, data}, Rule{Dim::mlp, model});
  rules.gradients   = rules.weights;
  rules.optimizer   = rules.weights;
  rules.activations = rules_of(Rule{Dim::batch, data}, Rule{Dim::embed, model}, Rule{Dim::mlp, model});
  rules.compute     = rules_of(Rule{Dim::batch, data}, Rule{Dim::mlp, model});
  return rules;
}

constexpr TensorId input = 0, up = 1, hidden = 2, down = 3, output = 4;

// input -> up -> hidden -> down -> output: two products, 8 tokens of 16 channels, 32 hidden.
Block block(Pass pass)
{
  Block made{.name = "two products", .tensors = {}, .operations = {}, .outputs = {output}, .saved = {input}};
  made.add({"input", TensorKind::activation, Dtype::bf16, {{Dim::batch, 8}, {Dim::embed, 16}}});
  made.add({"up", TensorKind::weight, Dtype::bf16, {{Dim::embed, 16}, {Dim::mlp, 32}}});
  made.add({"hidden", TensorKind::activation, Dtype::bf16, {{Dim::batch, 8}, {Dim::mlp, 32}}});
  made.add({"down", TensorKind::weight, Dtype::bf16, {{Dim::mlp, 32}, {Dim::embed, 16}}});
  made.add({"output", TensorKind::activation, Dtype::bf16, {{Dim::batch, 8}, {Dim::embed, 16}}});
  made.operations = {
      {.name = "first", .kind = OperationKind::einsum, .inputs = {{input}, {up}}, .outputs = {{hidden}}, .pass = pass},
      {.name    = "second",
       .kind    = OperationKind::einsum,
       .inputs  = {{hidden}, {down}},
       .outputs = {{output}},
       .pass    = pass}};
  return made;
}

std::string text(const Block& block, const BlockCollective& one)
{
  return std::string(name(one.kind)) + " " + block.tensor(one.tensor).name + " over " + mesh.names(one.axes);
}

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

TEST_CASE("local work: the shard of a product, and its operands once")
{
  const Block two         = block(Pass::forward);
  const BlockLayouts lies = layouts(two, mesh, sharding(), 0);
  const BlockWork work    = local_work(two, lies, mesh, {}, {.after_weight_gather = 3, .before_gradient_reduction = 0});
  const Work& first       = work.operations[0].own;
  CHECK(first.matrix.m == 4);
  CHECK(first.matrix.k == 16);
  CHECK(first.matrix.n == 8);
  CHECK(first.hbm == Bytes(2 * (4 * 16 + 16 * 8 + 4 * 8)));
  CHECK(!work.operations[0].sum);
  CHECK(work.collectives[0].full == Bytes(2 * 4 * 16));
  CHECK(work.collectives[0].copied_after == Bytes(0)); // of an activation
  CHECK(work.collectives[1].copied_after == Bytes(3 * 16 * 8));
}

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
