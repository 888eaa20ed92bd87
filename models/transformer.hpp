#pragma once
// Transformers: serial or parallel attention and MLP, multi-head, grouped or multi-query attention, gated
// or plain MLP, mixtures of experts, biases or not, positions of several kinds, tied or untied embeddings, encoder or
// decoder (whose attention, without a fused kernel, computes the whole square of scores all the same).

#include "sim/core/reader.hpp"
#include "sim/program/training_step.hpp"

#include <cstdint>
#include <string>

namespace podsim {

// Every `every`-th layer's MLP is `count` of them, of which a router chooses `top_k` for each token, in the form of
// GSPMD (GShard, GLaM): a one-hot mask sends the tokens of a group to the experts, each of which takes at most its
// capacity of them. Sources state that as a factor in two ways:
//   "capacity"         group x top_k / count x factor (Megatron, DeepSpeed, MaxText): 1 is room for all choices if
//   experts
//                      are chosen alike. "dropless" is as much room as the choices take.
//   "capacity_factor"  group / count x factor (Lingvo, Mesh TensorFlow): with a top_k of 2 it takes a factor of 2 to
//   have
//                      room for all, which is GShard's capacity.
struct Experts {
  std::int64_t count     = 0; // 0: none
  std::int64_t top_k     = 0;
  std::int64_t every     = 1;
  std::int64_t group     = 0; // tokens; 0: a sequence
  double capacity_factor = 1; // as "capacity_factor" says it
  bool gated_mlp         = false;

  std::int64_t capacity(std::int64_t tokens) const;
  // The share of the choices of a group that find no room, if all experts are chosen alike.
  double dropped(std::int64_t tokens) const;
  friend bool operator==(const Experts&, const Experts&) = default;
};

enum class Positions : std::uint8_t {
  none,
  alibi,          // a bias of the scores, added where they are scaled: no cost
  relative,       // T5's: the same, from a table [buckets, heads] in each layer
  transformer_xl, // a matrix in each layer projects the positions' encodings: counted; its product, once for the batch,
                  // is not computed
  rotary,
  learned,
};

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
  std::int64_t max_positions = 0; // rows of the learned position table, buckets of the relative one
  Positions positions        = Positions::rotary;
  bool gated_mlp             = false;
  bool parallel_block        = false;
  bool tied_embedding        = true;
  bool norm_scale            = true;  // whether each norm has a weight a channel
  bool biases                = false; // of all products of a layer and, beside a scale, of the norms; fused: no time
  Experts experts{};

  bool dropout = false; // of attention's probabilities and of the branches: the workload's to say
  friend bool operator==(const TransformerConfig&, const TransformerConfig&) = default;
};

TransformerConfig read_transformer(Reader model);

// Parameters by the formula: embedding + positions + layers x (attention + MLP + norms) + last norm; with
// `experts_counted` of the experts of a layer.
double parameter_count(const TransformerConfig& config, std::int64_t experts_counted);

ForwardPass forward_pass(const TransformerConfig& config, std::int64_t batch, std::int64_t sequence,
                         const Precision& precision);

} // namespace podsim
