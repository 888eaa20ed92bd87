#include "sim/metrics/flops.hpp"

#include <algorithm>

namespace podsim {
namespace {

bool has(const Tensor& tensor, Dim dim)
{
  return std::any_of(tensor.shape.begin(), tensor.shape.end(), [&](const Extent& one) { return one.dim == dim; });
}

// Calls f(block, times) for each block of a program with how often a step runs it: each virtual stage its own layers
// for each micro-batch.
template <class F> void each_block(const Program& program, const F& f)
{
  const Pipeline& pipeline = program.pipeline;
  for (std::size_t stage = 0; stage < program.program_of.size(); ++stage) {
    std::int64_t layers = 0;
    for (std::size_t piece = stage; piece < pipeline.layers.size(); piece += program.program_of.size())
      layers += pipeline.layers[piece];
    for (const Block& block : program.programs[program.program_of[stage]].blocks) {
      const bool repeats = block.role == BlockRole::layers || block.role == BlockRole::layers_backward;
      const bool once    = block.role == BlockRole::update;
      f(block, static_cast<double>((repeats ? layers : 1) * (once ? 1 : pipeline.micro_batches)));
    }
  }
}

} // namespace

double FlopsPerToken::counted(Counting counting) const
{
  switch (counting) {
  case Counting::none:
  case Counting::slowest_stage:
    return 0;
  case Counting::palm:
    return model();
  case Counting::palm_hardware:
    return hardware();
  case Counting::six_n:
    return weights;
  case Counting::six_n_causal:
    return weights + attention / 2;
  case Counting::palm_without_lookup:
    return model() - lookup;
  case Counting::six_n_without_lookup:
    return weights - lookup;
  case Counting::six_n_causal_without_lookup:
    return weights - lookup + attention / 2;
  case Counting::executed:
    return executed;
  case Counting::two_n:
    return weights / 3;
  case Counting::eight_n:
    return weights * 4 / 3;
  case Counting::narayanan:
    return narayanan;
  }
  return 0;
}

FlopsPerToken flops_per_token(const Program& program)
{
  const ModelShape& m = program.model;
  FlopsPerToken flops_of;
  flops_of.weights   = 6 * m.active_parameters;
  flops_of.lookup    = 6 * m.lookup_parameters;
  flops_of.attention = 12.0 * static_cast<double>(m.layers * m.heads * m.head_dim * m.sequence);
  const auto layers  = static_cast<double>(m.layers);
  const auto width   = static_cast<double>(m.d_model);
  if (width > 0)
    flops_of.narayanan =
        96 * layers * width * width *
        (1 + static_cast<double>(m.sequence) / (6 * width) + static_cast<double>(m.vocab) / (16 * layers * width));
  each_block(program, [&](const Block& block, double times) {
    for (const Operation& operation : block.operations) {
      if (operation.pass == Pass::recompute)
        flops_of.repeated += flops(block, operation) * times / program.tokens_per_step;
      const double executed = executed_flops(block, operation);
      flops_of.executed += executed * times / program.tokens_per_step;
      if (operation.kind == OperationKind::fused_attention)
        flops_of.skipped += (flops(block, operation) - executed) * times / program.tokens_per_step;
    }
  });
  return flops_of;
}

// The kept ones are those that the program has slots for: what a product sends to the experts, rows that have an
// expert and a place in its capacity where the tokens had none.
std::optional<Routing> routing(const Program& program)
{
  const ModelShape& m = program.model;
  if (m.expert_layers == 0)
    return {};
  double slots = 0;
  each_block(program, [&](const Block& block, double times) {
    for (const Operation& operation : block.operations) {
      if (operation.kind != OperationKind::einsum || operation.pass != Pass::forward)
        continue;
      const Tensor& sent = block.tensor(operation.outputs.at(0).tensor);
      if (sent.size(Dim::embed) > 1 && has(sent, Dim::capacity) &&
          !has(block.tensor(operation.inputs.at(0).tensor), Dim::capacity))
        slots += sent.elements() / static_cast<double>(sent.size(Dim::embed)) * times;
    }
  });
  const double choices = program.tokens_per_step * static_cast<double>(m.top_k * m.expert_layers);
  return Routing{choices, std::min(slots, choices), choices * m.dropped};
}

} // namespace podsim
