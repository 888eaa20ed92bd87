#pragma once
// Transformers: serial or parallel attention and MLP, multi-head, grouped or multi-query attention, gated
// or plain MLP, rotary or learned positions, tied or untied embeddings, encoder or decoder (whose
// attention, without a fused kernel, computes the whole square of scores all the same).

#include "sim/core/reader.hpp"
#include "sim/program/training_step.hpp"

#include <cstdint>
#include <string>

namespace podsim {

struct TransformerConfig {
  std::string name;
  bool encoder               = false;
  std::int64_t layers        = 0;
  std::int64_t d_model       = 0;
  std::int64_t d_ff          = 0;
  std::int64_t heads         = 0;
  std::int64_t kv_heads      = 0;
  std::int64_t head_dim      = 0;
  std::int64_t vocab         = 0;
  std::int64_t max_positions = 0; // rows of the learned position table; 0: rotary
  bool gated_mlp             = false;
  bool parallel_block        = false;
  bool tied_embedding        = true;
  bool norm_scale            = true; // whether each norm has a weight a channel
};

TransformerConfig read_transformer(Reader model);

// Parameters by the formula: embedding + positions + layers x (attention + MLP + norms) + last norm.
double parameter_count(const TransformerConfig& config);

ForwardPass forward_pass(const TransformerConfig& config, std::int64_t batch, std::int64_t sequence,
                         const Precision& precision);

} // namespace podsim
