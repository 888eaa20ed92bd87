#pragma once
// A block small enough to see by hand: two products in a row, on a mesh of 2 x 4.

#include "sim/sharding/overlap.hpp"

#include <string>
#include <utility>
#include <vector>

namespace podsim::test::two_products {

inline const Mesh mesh{{{"data", 2}, {"model", 4}}};
inline constexpr AxisMask data  = 1;
inline constexpr AxisMask model = 2;

template <class... Rules> DimAxes rules_of(const Rules&... rules)
{
  DimAxes axes{};
  ((axes[static_cast<std::size_t>(rules.first)] = rules.second), ...);
  return axes;
}

using Rule = std::pair<Dim, AxisMask>;

// Tokens over data, channels over model where they are stored; hidden channels over model in the products.
inline ShardingRules sharding()
{
  ShardingRules rules;
  rules.weights     = rules_of(Rule{Dim::embed, data}, Rule{Dim::mlp, model});
  rules.gradients   = rules.weights;
  rules.optimizer   = rules.weights;
  rules.activations = rules_of(Rule{Dim::batch, data}, Rule{Dim::embed, model}, Rule{Dim::mlp, model});
  rules.compute     = rules_of(Rule{Dim::batch, data}, Rule{Dim::mlp, model});
  return rules;
}

inline constexpr TensorId input = 0, up = 1, hidden = 2, down = 3, output = 4;

// input -> up -> hidden -> down -> output: two products, 8 tokens of 16 channels, 32 hidden.
inline Block block(Pass pass)
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

inline std::string text(const Block& block, const BlockCollective& one)
{
  return std::string(name(one.kind)) + " " + block.tensor(one.tensor).name + " over " + mesh.names(one.axes);
}

} // namespace podsim::test::two_products
