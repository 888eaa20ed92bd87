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
      if (tensor.kind == TensorKind::weight &&
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
  Block block{.name = "update", .count = 1, .tensors = {}, .operations = {}, .outputs = {}, .saved = {}};
  const TensorId norm = block.add({"global norm", TensorKind::activation, Dtype::f32, {}});
  std::vector<Operation> updates;
  for (Tensor weight : weights) {
    Tensor gradient  = weight;
    gradient.name    = "d(" + weight.name + ")";
    gradient.kind    = TensorKind::weight_gradient;
    gradient.dtype   = precision.gradient;
    weight.dtype     = Dtype::f32; // the master copy
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
      {"adafactor", {"adafactor", &pointwise::update, false}},
      {"adafactor-factored", {"adafactor-factored", &pointwise::factored_update, true}}};
  return table;
}

Program training_step(ForwardPass model, const Remat& remat, const Optimizer& optimizer, const Precision& precision,
                      double tokens_per_step)
{
  const TensorId result = model.layer.outputs.at(0);
  mark_saved(model.layer, remat);
  Block backward = backward_block(model.layer, remat, result, model.input);

  Block embedding_backward = backward_block(model.embedding, Remat{}, model.embedding.outputs.at(0), -1);
  Block update = update_block(stacked_weights({&model.embedding, &model.layer, &model.head}), optimizer, precision);

  // The loss is not rematerialised, unless the published fraction counts the logits' FLOPs as well.
  Block& head                          = model.head;
  const std::vector<Operation> forward = head.operations;
  const auto gradients                 = append_gradients(head, {{model.logits, model.logits_gradient}});
  head.outputs.push_back(gradients.at(model.input));
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

  for (Block* block : {&model.embedding, &model.layer, &model.head, &backward, &embedding_backward})
    for (Tensor& tensor : block->tensors)
      if (tensor.kind == TensorKind::weight_gradient)
        tensor.dtype = precision.gradient;

  Program program{model.shape, tokens_per_step, {}};
  for (Block* block : {&model.embedding, &model.layer, &model.head, &backward, &embedding_backward, &update})
    program.blocks.push_back(std::move(*block));
  return program;
}

} // namespace podsim
