#pragma once
// Logical tensors: what a model computes with, before anything is split over devices. A dimension has
// a name from a closed set, because shardings are rules about names ("embed lies on the mesh axis data").

#include <cstdint>
#include <string>
#include <vector>

namespace podsim {

enum class Dim : std::uint8_t {
  batch,
  sequence,     // positions of the queries
  key_sequence, // positions of the keys and values
  embed,        // d_model
  mlp,          // d_ff
  heads,
  head_dim,
  vocab,
  position, // rows of a learned position table
  layer,    // weights of equal layers, stacked
  expert,
  capacity, // tokens that an expert takes of one group
};
constexpr int dim_count = 12;

const std::vector<std::pair<std::string, Dim>>& dim_names();

enum class Dtype : std::uint8_t { u8, bf16, f32 }; // u8: masks
constexpr int bytes_per_element(Dtype dtype)
{
  return dtype == Dtype::u8 ? 1 : dtype == Dtype::bf16 ? 2 : 4;
}

// How a tensor lives: weights, their gradients and the optimizer's state are stored as the sharding's rules for
// weights say, activations (and gradients of activations) by its rules for activations.
enum class TensorKind : std::uint8_t { weight, activation, weight_gradient, optimizer_state };

struct Extent {
  Dim dim;
  std::int64_t size;
};

struct Tensor {
  std::string name;
  TensorKind kind;
  Dtype dtype;
  std::vector<Extent> shape;

  double elements() const;
  std::int64_t size(Dim dim) const; // 1 for a dimension it has not
};

using TensorId = int; // index in Block::tensors

} // namespace podsim
