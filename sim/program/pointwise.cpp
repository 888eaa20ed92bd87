#include "sim/program/pointwise.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace podsim {
namespace {

std::string passes_text(const char* what, const PointwisePasses& passes)
{
  return fmt::format("{} reads {}, writes {}, {} operations an element", what, fmt::join(passes.reads, " + "),
                     passes.writes, passes.vector_ops);
}

} // namespace

std::string PointwiseKind::describe() const
{
  std::string text = passes_text("forward", forward);
  if (statistics_over)
    text += "; " + passes_text("gradient's statistics", statistics);
  if (backward)
    text += "; " + passes_text("backward", *backward);
  return text;
}

} // namespace podsim

namespace podsim::pointwise {
namespace {

struct Column {
  PointwisePasses forward{};
  PointwisePasses statistics{};
  std::optional<PointwisePasses> backward{};
};

PointwiseColumns table(PointwiseKind rule, const Column& xla, const Column& kernels)
{
  const auto with = [&](const Column& column) {
    PointwiseKind kind = rule;
    kind.forward       = column.forward;
    kind.statistics    = column.statistics;
    kind.backward      = column.backward;
    return kind;
  };
  return {with(xla), with(kernels)};
}

PointwiseColumns alike(const PointwiseKind& rule, const Column& both)
{
  return table(rule, both, both);
}

} // namespace

// Each operation: what its gradient reads, then the column of XLA, then that of the kernels.

const PointwiseColumns moments = table({.name = "moments"},       //
                                       {.forward = {{1}, 1, 2}},  // reads, writes, operations
                                       {.forward = {{0}, 0, 0}}); // part of the norm's kernel

const PointwiseColumns normalise = table(
    {.name = "normalise", .gradients_of = {0}, .gradient_reads = {0, 1}, .statistics_over = Dim::embed},
    {.forward = {{1, 0}, 1, 4}, .statistics = {{1, 0, 1}, 1, 4}, .backward = PointwisePasses{{1, 0, 1, 0}, 1, 8}},
    {.forward = {{1, 0}, 1, 6}, .statistics = {{0, 0, 0}, 0, 0}, .backward = PointwisePasses{{1, 0, 1, 0}, 1, 12}});

const PointwiseColumns softmax = table({.name = "softmax", .gradients_of = {0}, .gradient_reads_outputs = {0}},
                                       {.forward = {{3}, 1, 10}, .backward = PointwisePasses{{2, 2}, 1, 6}},
                                       {.forward = {{1}, 1, 10}, .backward = PointwisePasses{{1, 1}, 1, 6}});

// XLA draws the mask where it writes the softmax, and its gradient where it reads that of the softmax: what is left is
// one pass more for the result, and the mask.
const PointwiseColumns dropout = table({.name = "dropout", .gradients_of = {0}, .gradient_reads_outputs = {1}},
                                       {.forward = {{0}, 1, 6}, .backward = PointwisePasses{{1, 0}, 0, 2}},
                                       {.forward = {{1}, 1, 6}, .backward = PointwisePasses{{1, 1}, 1, 2}});

const PointwiseColumns gate = alike({.name = "gate", .gradients_of = {0, 1}, .gradient_reads = {0, 1}},
                                    {.forward = {{1, 1}, 1, 8}, .backward = PointwisePasses{{1, 1, 1}, 1, 14}});

// Added in the product's kernel or the next one; its gradient sums up that of the result.
const PointwiseColumns bias = alike({.name = "bias", .gradients_of = {1}, .hands_on = {0}},
                                    {.forward = {{0, 0}, 0, 0}, .backward = PointwisePasses{{1}, 1, 1}});

const PointwiseColumns activation = alike({.name = "activation", .gradients_of = {0}, .gradient_reads = {0}},
                                          {.forward = {{1}, 1, 6}, .backward = PointwisePasses{{1, 1}, 1, 8}});

const PointwiseColumns rotary =
    alike({.name = "rotary", .gradients_of = {0}}, {.forward = {{1}, 1, 4}, .backward = PointwisePasses{{1}, 1, 4}});

const PointwiseColumns residual = alike({.name = "residual", .hands_on = {0, 1}}, {.forward = {{1, 1}, 1, 1}});

// With the mask of a byte an element that it writes, 3.5 passes over bf16; 2.5 backward.
const PointwiseColumns drop_residual =
    alike({.name = "dropout and residual", .gradients_of = {1}, .gradient_reads_outputs = {1}, .hands_on = {0}},
          {.forward = {{1, 1}, 1, 7}, .backward = PointwisePasses{{1, 1}, 1, 2}});

// GShard's top-k gating works on [tokens, experts], which is small, and writes the two masks over the capacity.
const PointwiseColumns routing = alike({.name = "routing", .gradients_of = {0}, .gradient_reads = {0}},
                                       {.forward = {{4}, 1, 4}, .backward = PointwisePasses{{4, 1}, 1, 2}});

const PointwiseColumns view =
    alike({.name = "view", .gradients_of = {0}}, {.forward = {{0}, 0, 0}, .backward = PointwisePasses{{0}, 0, 0}});

// Megatron's cross entropy (megatron/core/tensor_parallel/cross_entropy.py) is not fused: maximum, difference,
// exponential, sum and quotient are 8 passes over the f32 logits, the gradient's copy, its scaling and its cast 4.
const PointwiseColumns log_sum_exp = table({.name = "log-sum-exp"},  //
                                           {.forward = {{2}, 1, 6}}, //
                                           {.forward = {{8}, 1, 6}});

const PointwiseColumns loss_gradient = table({.name = "loss gradient"},   //
                                             {.forward = {{1, 0}, 1, 8}}, //
                                             {.forward = {{4, 0}, 1, 8}});

const PointwiseKind add{.name = "add", .hands_on = {0, 1}, .forward = {{1, 1}, 1, 1}};

const PointwiseKind square_sum{.name = "square sum", .forward = {{1}, 1, 2}};

const PointwiseKind update{.name = "update", .forward = {{1, 0, 1, 1, 1}, 1, 16}};

// Megatron-LM's Float16OptimizerWithFloat16Params (megatron/optimizer/optimizer.py): gradients are copied to f32,
// unscaled and checked, clipped, and read by Apex's fused Adam, which makes 6 passes of f32, counted with the weight;
// then the weights are read to be copied back, and the gradients are set to zero.
const PointwiseKind mixed_update{.name = "mixed-precision update", .forward = {{2, 0, 8, 1, 1}, 1, 16}};

// Composer's DecoupledAdamW (composer/optim/decoupled_weight_decay.py): decay, mul and add into the first moment, mul
// and addcmul into the second, sqrt, division and epsilon through temporaries (6 passes, counted with the second),
// addcdiv.
const PointwiseKind unfused_update{.name = "unfused update", .forward = {{2, 0, 2, 3, 9}, 2, 16}};

const PointwiseKind factored_update{.name = "factored update", .forward = {{2, 0, 1, 1, 1}, 1, 16}};

} // namespace podsim::pointwise
