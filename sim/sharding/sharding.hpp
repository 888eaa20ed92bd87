#pragma once
// Shardings as rules about dimension names, after GSPMD (Xu et al. 2021, arXiv:2105.04663): which mesh
// axes split a dimension of a stored weight, of a stored activation, and of the loops of a matrix product.
// Everything that is communicated follows from the three tables (see partition.hpp).

#include "sim/core/reader.hpp"
#include "sim/program/tensor.hpp"
#include "sim/sharding/mesh.hpp"

#include <array>
#include <span>
#include <string>
#include <vector>

namespace podsim {

using DimAxes = std::array<AxisMask, dim_count>; // mesh axes a dimension is split over

struct ShardingRules {
  std::string name;
  DimAxes weights{};
  DimAxes gradients{};   // of weights, between micro-batches (ZeRO 2 splits them and not the weights)
  DimAxes optimizer{};   // the optimizer's state, and where weights are updated (ZeRO 1 splits only this)
  DimAxes activations{}; // between operations
  DimAxes compute{};     // while a matrix product runs

  std::vector<std::string> known; // the names of axes that the rules use, whether or not the mesh has them, sorted
  AxisMask used() const;          // those of the mesh that split anything
  friend bool operator==(const ShardingRules&, const ShardingRules&) = default;
};

// {"weights": {"embed": "data", ...}, "activations": {...}, "compute": {...}}, and "gradients" and "optimizer" where
// they are not as the weights. A rule for an axis that the mesh lacks is void.
ShardingRules read_sharding(Reader rules, const Mesh& mesh);

// The table that tensors of a kind are stored by.
const DimAxes& table(const ShardingRules& rules, TensorKind kind);

// How a tensor lies on the mesh: what splits each dimension, and over which axes every member of a group
// holds a summand instead of the sum.
struct Layout {
  DimAxes dims{};
  AxisMask partial = 0;

  AxisMask axes() const; // all that split a dimension
  friend bool operator==(const Layout&, const Layout&) = default;
};

// The layout of a tensor with these extents under a table. An axis splits one dimension only (the first
// that wants it), and only one with an element for each of its devices: a single key head stays whole. The sequence
// takes what no other dimension does (Megatron's sequence parallelism: heads and MLP where a tensor has them). A
// dimension that does not divide is padded, as GSPMD does (256,000 words over 12 chips).
Layout layout(std::span<const Extent> shape, const DimAxes& table, const Mesh& mesh);

// The same of a tensor as it is stored. Weights, their gradients and the optimizer's state are split as a whole (ZeRO
// and FSDP flatten them and pad the end), so that d_model may have fewer channels than it is split over devices.
Layout layout(const Tensor& tensor, const DimAxes& table, const Mesh& mesh);

// Elements of a dimension on one device, padding included.
double local_size(const Extent& extent, const DimAxes& dims, const Mesh& mesh);

// And of a whole tensor: of activations each dimension is padded, what is split as a whole has at most one element more
// than its share. Of these the vocabulary, which products split as well, is padded by itself.
double local_elements(const Tensor& tensor, const Layout& layout, const Mesh& mesh);

} // namespace podsim
