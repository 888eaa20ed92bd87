#pragma once
// Element-wise operations and reductions, by how often they pass over their operands in HBM and how
// much vector work they do, in two columns:
// - xla: XLA fuses what it can; the passes are those that remain because a reduction needs its whole row
//   before the next pass starts, or because a matrix product stands on the other side (TPU training of 2021
//   to 2023, attention without a fused kernel). With bf16 activations they make a norm 6 bytes an element
//   forward and 10 backward, a gate 6 and 10, a residual 6.
// - kernels: one fused CUDA kernel an operation, as Megatron-LM and Apex had them from 2021 on, which keeps a row
//   on the chip: reads its inputs once and writes its outputs once. What is part of a neighbour's kernel has no
//   work at all.

#include "sim/program/tensor.hpp"

#include <optional>
#include <string>
#include <vector>

namespace podsim {

struct PointwisePasses {
  std::vector<double> reads; // passes over each input
  double writes     = 1;     // passes over each output
  double vector_ops = 0;     // on each element of the largest operand; a transcendental counts as 4
};

struct PointwiseKind {
  std::string name;

  // The gradient: for each input listed in `gradients_of` one tensor, from the inputs listed in
  // `gradient_reads`, the outputs in `gradient_reads_outputs`, and from the first output's gradient, in this
  // order. Where it first sums over the dimension `statistics_over`, that is a pass of its own.
  // The gradient of an input in `hands_on` is the output's gradient itself: no work.
  std::vector<int> gradients_of{};
  std::vector<int> gradient_reads{};
  std::vector<int> gradient_reads_outputs{};
  std::vector<int> hands_on{};
  std::optional<Dim> statistics_over{};

  PointwisePasses forward{};
  PointwisePasses statistics{};
  std::optional<PointwisePasses> backward{};

  // "forward reads 1 + 1, writes 1, 8 operations an element; backward reads ..."
  std::string describe() const;
};

enum class ElementWise : std::uint8_t { xla, kernels };

struct PointwiseColumns {
  PointwiseKind xla, kernels;
  const PointwiseKind& in(ElementWise column) const { return column == ElementWise::xla ? xla : kernels; }
};

namespace pointwise {
extern const PointwiseColumns moments;       // x -> sum of squares of each row; its gradient is part of normalise's
extern const PointwiseColumns normalise;     // x, moments -> x scaled
extern const PointwiseColumns softmax;       // logits -> probabilities: maximum, sum, quotient
extern const PointwiseColumns dropout;       // probabilities -> some of them, mask
extern const PointwiseColumns gate;          // a, b -> silu(a) * b
extern const PointwiseColumns bias;          // a, bias -> a + bias
extern const PointwiseColumns activation;    // a -> relu(a), gelu(a)...
extern const PointwiseColumns rotary;        // a -> a rotated by its position
extern const PointwiseColumns residual;      // x, branch -> x + branch
extern const PointwiseColumns drop_residual; // x, branch -> x + some of branch, mask
extern const PointwiseColumns routing;       // router's logits -> combine weights, dispatch mask
extern const PointwiseColumns view;          // a -> the same in another shape
extern const PointwiseColumns log_sum_exp;   // logits -> one value a row
extern const PointwiseColumns loss_gradient; // logits, log_sum_exp -> gradient of the cross entropy

extern const PointwiseKind add;             // a, b -> a + b, of gradients
extern const PointwiseKind square_sum;      // gradients -> one scalar, for the clip by the global norm
extern const PointwiseKind update;          // gradient, norm, weight, state... -> weight, state...
extern const PointwiseKind mixed_update;    // the same of f32 copies of 16-bit gradients and weights
extern const PointwiseKind unfused_update;  // the same by a kernel an arithmetic step
extern const PointwiseKind factored_update; // the same with row and column states: a pass more over the gradient
} // namespace pointwise

} // namespace podsim
