#pragma once
// One training step from a model's forward pass: forward layers, loss, backward layers with their
// recomputation, then the clip by the global norm and the optimizer's update.

#include "sim/program/differentiate.hpp"
#include "sim/program/program.hpp"

namespace podsim {

// What a model gives: its forward pass in three blocks. `layer` reads the activation `input` and makes
// outputs[0], which the next layer reads; `embedding` makes the first one; `head` ends in the gradient of
// the logits (`logits` -> `logits_gradient`), so that its gradients stand in the same block.
struct ForwardPass {
  ModelShape shape;
  Block embedding, layer, head;
  std::int64_t layers_in_block = 1; // that one iteration of `layer` computes
  TensorId input, head_input;
  TensorId logits, logits_gradient;
};

struct Optimizer {
  std::string name;
  const PointwiseKind* update;
  bool factored; // a row and a column state instead of two states of the weight's size
  friend bool operator==(const Optimizer&, const Optimizer&) = default;
};

// "adamw", "adamw-mixed" (Megatron's), "adamw-unfused" (eager kernels), "adafactor" (unfactored with momentum, as
// PaLM's: the size of Adam's), "adafactor-factored".
const std::vector<std::pair<std::string, Optimizer>>& optimizers();

// `model` is for one micro-batch and has any number of layers: `pipeline.layers` says how many each virtual stage runs.
Program training_step(const ForwardPass& model, const Remat& remat, const Optimizer& optimizer,
                      const Precision& precision, const Pipeline& pipeline, double tokens_per_step);

} // namespace podsim
