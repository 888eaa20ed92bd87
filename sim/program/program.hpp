#pragma once
// What one training step computes, for a whole micro-batch and before any sharding: blocks of operations, a
// block being repeated `count` times in a row (the layers). Blocks are never flattened here: later stages
// need the repetition.
//
// Within a block, operations stand in the order in which a device executes them, and depend on each
// other through tensors; a tensor that no operation of the block produces comes from an earlier block,
// or from the iteration before.

#include "sim/program/pipeline.hpp"
#include "sim/program/pointwise.hpp"
#include "sim/program/tensor.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace podsim {

enum class OperationKind : std::uint8_t {
  einsum,          // product of two tensors, summed over the dimensions that the output has not
  pointwise,       // element by element; see PointwiseKind
  lookup,          // rows of an embedding table: a sum over vocab without FLOPs
  scatter_add,     // the gradient of a lookup
  fused_attention, // query, key, value -> context, statistic of each row: no scores in HBM
};

enum class Pass : std::uint8_t { forward, recompute, backward, update };

// A tensor as an operation sees it. `as_keys` reads its dimension `sequence` as `key_sequence`: the same
// activation gives queries and keys.
struct Operand {
  TensorId tensor;
  bool as_keys = false;
};

// Attention as one kernel (flash, splash). Its backward pass computes the scores again from the statistic of each row
// (maximum and sum): five products instead of two. That fifth is inherent in the kernel and no remat: the repeated
// FLOPs of PaLM's convention are those of Pass::recompute only, as the sources count them; it is executed all the same.
struct FusedAttention {
  bool skips_masked          = false; // a causal mask's half of the scores is not computed
  double forward_efficiency  = 0;     // of the chip's matrix peak, of the FLOPs that are computed
  double backward_efficiency = 0;
  friend bool operator==(const FusedAttention&, const FusedAttention&) = default;
};

struct Operation {
  std::string name;
  OperationKind kind;
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  const PointwiseKind* pointwise = nullptr; // of a pointwise operation,
  const PointwisePasses* passes  = nullptr; // and which of the kind's passes it makes
  Pass pass                      = Pass::forward;
  bool attention                 = false; // scores and context: the FLOPs that are not in the weights
  bool accumulates               = false; // adds to its output instead of setting it
  double fraction                = 1;     // of its work that is done: remat may repeat a part
  double overhead                = 1; // of a pointwise operation: passes of a kernel of the day over those of its kind
  FusedAttention kernel{};            // of a fused attention
};

// What a block is for: a pipeline stage has some of them, and its schedule says when they run.
enum class BlockRole : std::uint8_t { embedding, layers, loss, layers_backward, embedding_backward, update };

struct Block {
  std::string name;
  BlockRole role     = BlockRole::layers;
  std::int64_t count = 1;
  std::vector<Tensor> tensors;
  std::vector<Operation> operations;
  std::vector<TensorId> outputs; // what later blocks or iterations read
  std::vector<TensorId> saved;   // what is kept from each iteration until the backward pass
  // Where a share of the iterations keeps other things: what these do, and what of `saved` only the rest needs.
  double some = 0;
  std::vector<TensorId> saved_by_some{}, saved_by_rest{};

  TensorId add(Tensor tensor);
  const Tensor& tensor(TensorId id) const { return tensors[static_cast<std::size_t>(id)]; }
  std::optional<TensorId> find(const std::string& name) const;
};

// A dimension of an operand's tensor as the operation sees it.
constexpr Dim seen(const Operand& operand, Dim dim)
{
  return operand.as_keys && dim == Dim::sequence ? Dim::key_sequence : dim;
}

// Extents of the loops of an operation: all dimensions of its operands, each once, with its largest size (one key head
// broadcasts to all query heads).
class Loops {
public:
  void add(const Extent& extent);
  const Extent* begin() const { return extents_.data(); }
  const Extent* end() const { return extents_.data() + count_; }
  Extent* begin() { return extents_.data(); }
  Extent* end() { return extents_.data() + count_; }

private:
  std::array<Extent, dim_count> extents_{};
  std::size_t count_ = 0;
};
Loops loops(const Block& block, const Operation& operation);

// Products over its loops: 2 of a fused attention, 5 of its gradient, 1 of an einsum, 0 of the rest.
int products(const Operation& operation);

// 2 for each multiply-add of the products, unpadded, times the fraction. Attention counts whole, as in the formulas for
// utilisation, even where a kernel skips what the mask hides.
double flops(const Block& block, const Operation& operation);

// Those that are executed: a kernel that skips the masked half of attention executes half.
double executed_flops(const Block& block, const Operation& operation);

// Which kernels do what is not a plain product.
struct Kernels {
  std::optional<FusedAttention> attention; // absent: two products and a softmax, with the scores in HBM
  ElementWise element_wise                               = ElementWise::xla;
  double element_wise_overhead                           = 1;
  friend bool operator==(const Kernels&, const Kernels&) = default;
};

// The element types and kernels that the software of the day chose.
struct Precision {
  Dtype activations      = Dtype::bf16;
  Dtype weight_gather    = Dtype::bf16; // weights as matrix products read them and gathers carry them
  Dtype gradient         = Dtype::bf16; // gradients as reductions carry them
  Dtype attention_logits = Dtype::f32;
  Dtype parameters       = Dtype::f32; // as stored; bf16: beside an f32 master copy in the optimizer's state
  Kernels kernels{};
  friend bool operator==(const Precision&, const Precision&) = default;
};

// What the formulas for utilisation need of the model.
struct ModelShape {
  double parameters;        // N; a tied embedding counts once
  double active_parameters; // those that a token meets
  std::int64_t layers, heads, head_dim, sequence, d_model, vocab;
  double lookup_parameters   = 0; // of N, those that no product reads: an untied input embedding, learned positions
  std::int64_t expert_layers = 0; // how many have experts,
  std::int64_t top_k         = 0; // how many of them a token chooses,
  double dropped             = 0; // and which share of the choices finds no room, if all are chosen alike
};

// The blocks of a pipeline stage, in the order in which one micro-batch meets them, and the update. Tensors are those
// of one micro-batch.
struct StageProgram {
  std::vector<Block> blocks;
};

struct Program {
  ModelShape model;
  double tokens_per_step;
  Pipeline pipeline;
  std::vector<StageProgram> programs;  // of stages that differ
  std::vector<std::size_t> program_of; // of each stage
};

} // namespace podsim
