#include "sim/program/training_step.hpp"

#include <algorithm>

namespace podsim {
namespace {

// Weights of all blocks, those of equal layers stacked. A tied embedding, met in two blocks, is one weight.
std::vector<Tensor> stacked_weights(const std::vector<const Block*>& blocks)
{
  std::vector<Tensor> all;
  for (const Block* block : blocks)
    for (const Tensor& tensor : block->tensors)
      if (tensor.kind == TensorKind::weight && block->count > 0 &&
          std::none_of(all.begin(), all.end(), [&](const Tensor& known) { return known.name == tensor.name; })) {
        all.push_back(tensor);
        if (block->count > 1)
          all.back().shape.insert(all.back().shape.begin(), {Dim::layer, block->count});
      }
  return all;
}

std::vector<Tensor> optimizer_states(const Tensor& weight, const Optimizer& optimizer)
{
  Tensor first  = weight;
  first.kind    = TensorKind::optimizer_state;
  first.dtype   = Dtype::f32;
  Tensor second = first;
  first.name += (optimizer.factored ? ".row" : ".m");
  second.name += (optimizer.factored ? ".column" : ".v");
  if (optimizer.factored && weight.shape.size() > 1) {
    first.shape.pop_back();
    second.shape.erase(second.shape.end() - 2);
  }
  return {first, second};
}

Block update_block(const std::vector<Tensor>& weights, const Optimizer& optimizer, const Precision& precision)
{
  Block block{.name       = "update",
              .role       = BlockRole::update,
              .count      = 1,
              .tensors    = {},
              .operations = {},
              .outputs    = {},
              .saved      = {}};
  const TensorId norm = block.add({"global norm", TensorKind::activation, Dtype::f32, {}});
  std::vector<Operation> updates;
  for (Tensor weight : weights) {
    Tensor copy     = weight; // as the layers read it, where that is not the master copy
    copy.dtype      = precision.parameters;
    Tensor gradient = weight;
    gradient.name   = "d(" + weight.name + ")";
    gradient.kind   = TensorKind::weight_gradient;
    gradient.dtype  = precision.gradient;
    weight.dtype    = Dtype::f32; // the master copy
    if (precision.parameters != Dtype::f32)
      weight.kind = TensorKind::optimizer_state;
    const TensorId g = block.add(gradient);
    const TensorId w = block.add(weight);
    block.operations.push_back({.name        = "square sum of " + gradient.name,
                                .kind        = OperationKind::pointwise,
                                .inputs      = {{g}},
                                .outputs     = {{norm}},
                                .pointwise   = &pointwise::square_sum,
                                .passes      = &pointwise::square_sum.forward,
                                .pass        = Pass::update,
                                .accumulates = !updates.empty()});
    Operation update{.name      = "update of " + weight.name,
                     .kind      = OperationKind::pointwise,
                     .inputs    = {{g}, {norm}, {w}},
                     .outputs   = {{w}},
                     .pointwise = optimizer.update,
                     .passes    = &optimizer.update->forward,
                     .pass      = Pass::update};
    for (Tensor& state : optimizer_states(weight, optimizer)) {
      const TensorId id = block.add(std::move(state));
      update.inputs.push_back({id});
      update.outputs.push_back({id});
    }
    // Where the update was split and the weights are not, they are gathered from it.
    if (precision.parameters != Dtype::f32)
      block.outputs.push_back(update.outputs.emplace_back(Operand{block.add(std::move(copy))}).tensor);
    else
      block.outputs.push_back(w);
    updates.push_back(std::move(update));
  }
  for (Operation& update : updates)
    block.operations.push_back(std::move(update));
  return block;
}

} // namespace

const std::vector<std::pair<std::string, Optimizer>>& optimizers()
{
  static const std::vector<std::pair<std::string, Optimizer>> table{
      {"adamw", {"adamw", &pointwise::update, false}},
      {"adamw-mixed", {"adamw-mixed", &pointwise::mixed_update, false}},
      {"adamw-unfused", {"adamw-unfused", &pointwise::unfused_update, false}},
      {"adafactor", {"adafactor", &pointwise::update, false}},
      {"adafactor-factored", {"adafactor-factored", &pointwise::factored_update, true}}};
  return table;
}

namespace {

struct StageShape {
  std::int64_t iterations; // of the layer block
  bool first, last;
  friend bool operator==(const StageShape&, const StageShape&) = default;
};

StageProgram stage_program(ForwardPass model, const StageShape& shape, const Remat& remat, const Optimizer& optimizer,
                           const Precision& precision)
{
  model.layer.count     = shape.iterations;
  const TensorId result = model.layer.outputs.at(0);
  Block backward        = backward_block(model.layer, remat, result, model.input);
  backward.role         = BlockRole::layers_backward;
  mark_saved(model.layer, remat, backward, result, model.input);

  Block embedding_backward = backward_block(model.embedding, Remat{}, model.embedding.outputs.at(0), -1);
  embedding_backward.role  = BlockRole::embedding_backward;

  // The loss is not rematerialised, unless the published fraction counts the logits' FLOPs as well.
  Block& head                          = model.head;
  const std::vector<Operation> forward = head.operations;
  const auto gradients                 = append_gradients(head, {{model.logits, model.logits_gradient}});
  head.outputs.push_back(gradients.at(model.head_input));
  if (remat.repeats_logits)
    for (Operation product : forward)
      if (product.kind == OperationKind::einsum) {
        product.name += " again";
        product.pass              = Pass::recompute;
        product.fraction          = *remat.matrix_fraction;
        const auto first_gradient = std::find_if(head.operations.begin(), head.operations.end(),
                                                 [](const Operation& op) { return op.pass == Pass::backward; });
        head.operations.insert(first_gradient, std::move(product));
      }

  std::vector<Block*> blocks;
  if (shape.first)
    blocks.push_back(&model.embedding);
  blocks.push_back(&model.layer);
  if (shape.last)
    blocks.push_back(&head);
  Block update = update_block(stacked_weights({blocks.begin(), blocks.end()}), optimizer, precision);
  blocks.push_back(&backward);
  if (shape.first)
    blocks.push_back(&embedding_backward);
  blocks.push_back(&update);

  StageProgram stage;
  for (Block* block : blocks) {
    for (Tensor& tensor : block->tensors)
      if (tensor.kind == TensorKind::weight_gradient)
        tensor.dtype = precision.gradient;
    stage.blocks.push_back(std::move(*block));
  }
  return stage;
}

} // namespace

Program training_step(const ForwardPass& model, const Remat& remat, const Optimizer& optimizer,
                      const Precision& precision, const Pipeline& pipeline, double tokens_per_step)
{
  Program program{model.shape, tokens_per_step, pipeline, {}, {}};
  for (std::int64_t& layers : program.pipeline.layers)
    layers /= model.layers_in_block;
  std::vector<StageShape> known;
  for (std::int64_t stage = 0; stage < pipeline.stages; ++stage) {
    StageShape shape{0, stage == 0, stage == pipeline.stages - 1};
    for (std::int64_t chunk = 0; chunk < pipeline.chunks; ++chunk)
      shape.iterations += program.pipeline.layers[static_cast<std::size_t>(chunk * pipeline.stages + stage)];
    const auto found = std::find(known.begin(), known.end(), shape);
    program.program_of.push_back(static_cast<std::size_t>(found - known.begin()));
    if (found == known.end()) {
      known.push_back(shape);
      program.programs.push_back(stage_program(model, shape, remat, optimizer, precision));
    }
  }
  return program;
}

} // namespace podsim
