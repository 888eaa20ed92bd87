#pragma once
// From the forward pass of a block to its backward pass: what must be recomputed, then the gradients.

#include "sim/program/program.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace podsim {

// Rematerialisation: what the forward pass keeps for the backward pass; the rest is computed again.
struct Remat {
  enum class Keep : std::uint8_t { inputs, listed, all_but_attention, all };
  Keep keep = Keep::inputs;
  std::vector<std::string> kept; // tensors by name, for Keep::listed

  // Which share of the FLOPs outside attention is computed again, where a source gives that; those in
  // attention are then repeated whole. 1 repeats every matrix product of the block (HFU/MFU = 4/3, as
  // published for full remat); absent, what the gradients need and nothing kept gives is repeated.
  std::optional<double> matrix_fraction;
  bool repeats_logits = false; // the fraction is of the whole model, the logits among it
  double whole_layers = 0;     // the share of the layers that keep all they have: of memory, the fraction says what
                               // that saves of the products
  friend bool operator==(const Remat&, const Remat&) = default;
};

// Appends the gradient operations of all operations in `block` in reverse order, given the gradient of
// some tensors (`seeds`: tensor -> its gradient). Returns the gradient of every tensor that got one.
// Gradients of weights become outputs of the block, named "d(<weight>)".
std::map<TensorId, TensorId> append_gradients(Block& block, std::map<TensorId, TensorId> seeds);

// The backward pass of `forward`, as a block of its own: recomputation, then gradients, seeded with the
// gradient of `result` (an activation) and giving that of `source`.
Block backward_block(const Block& forward, const Remat& remat, TensorId result, TensorId source);

// Tensors of `forward` that its backward pass reads without recomputing them, besides its weights: written into
// Block::saved, and in what a layer that keeps all of them differs into saved_by_some and saved_by_rest.
void mark_saved(Block& forward, const Remat& remat, const Block& backward, TensorId result, TensorId source);

} // namespace podsim
