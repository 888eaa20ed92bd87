#pragma once
// Element-wise operations and reductions, by how often they pass over their operands in HBM and how
// much vector work they do. XLA fuses what it can; the passes below are those that remain because a
// reduction needs its whole row before the next pass starts, or because a matrix product stands on the
// other side (TPU training of 2021 to 2023, attention without a fused kernel). With bf16 activations
// they make a norm 6 bytes an element forward and 10 backward, a gate 6 and 10, a residual 6.

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
  PointwisePasses forward;

  // The gradient: for each input listed in `gradients_of` one tensor, from the inputs listed in
  // `gradient_reads`, from the output if `gradient_reads_output`, and from the output's gradient,
  // in this order. Where it first sums over the dimension `statistics_over`, that is a pass of its own.
  // `backward` absent: the gradient of a sum is the output's gradient itself.
  std::vector<int> gradients_of{};
  std::vector<int> gradient_reads{};
  bool gradient_reads_output = false;
  std::optional<Dim> statistics_over{};
  PointwisePasses statistics{};
  std::optional<PointwisePasses> backward{};

  // "forward reads 1 + 1, writes 1, 8 operations an element; backward reads ..."
  std::string describe() const;
};

namespace pointwise {
extern const PointwiseKind moments;         // x -> sum of squares of each row; its gradient is part of normalise's
extern const PointwiseKind normalise;       // x, moments -> x scaled
extern const PointwiseKind softmax;         // logits -> probabilities: maximum, sum, quotient
extern const PointwiseKind gate;            // a, b -> silu(a) * b
extern const PointwiseKind activation;      // a -> relu(a), gelu(a)...
extern const PointwiseKind rotary;          // a -> a rotated by its position
extern const PointwiseKind residual;        // x, branch -> x + branch
extern const PointwiseKind add;             // a, b -> a + b, of gradients
extern const PointwiseKind log_sum_exp;     // logits -> one value a row
extern const PointwiseKind loss_gradient;   // logits, log_sum_exp -> gradient of the cross entropy
extern const PointwiseKind square_sum;      // gradients -> one scalar, for the clip by the global norm
extern const PointwiseKind update;          // gradient, norm, weight, state... -> weight, state...
extern const PointwiseKind factored_update; // the same with row and column states: a pass more over the gradient
} // namespace pointwise

} // namespace podsim
