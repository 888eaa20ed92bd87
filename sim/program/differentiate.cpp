#include "sim/program/differentiate.hpp"

#include <algorithm>
#include <set>

namespace podsim {
namespace {

// Gradients while the operations are walked backwards. A tensor used several times has several: matrix
// products add into one tensor, element-wise gradients are added by an operation.
class Gradients {
public:
  Gradients(Block& block, std::map<TensorId, TensorId> seeds) : block_(block), of_(std::move(seeds)) {}

  std::optional<TensorId> of(TensorId tensor) const
  {
    const auto found = of_.find(tensor);
    return found == of_.end() ? std::nullopt : std::optional(found->second);
  }

  // A sum's gradient is the gradient of its result: no work, unless there already is one to add to.
  void alias(TensorId tensor, TensorId gradient)
  {
    if (const auto known = of(tensor)) {
      const TensorId sum = create(tensor);
      block_.operations.push_back({.name      = block_.tensor(sum).name,
                                   .kind      = OperationKind::pointwise,
                                   .inputs    = {{*known}, {gradient}},
                                   .outputs   = {{sum}},
                                   .pointwise = &pointwise::add,
                                   .passes    = &pointwise::add.forward,
                                   .pass      = Pass::backward});
      gradient = sum;
      products_.erase(tensor); // the sum has read it: nothing may add to it any more
    }
    of_[tensor] = gradient;
  }

  // The product gives (a part of) the gradient of `tensor`.
  void from_product(Operation product, const Operand& tensor)
  {
    const auto known    = products_.find(tensor.tensor);
    product.accumulates = known != products_.end();
    const TensorId into = product.accumulates ? known->second : create(tensor.tensor);
    product.name        = block_.tensor(into).name;
    product.outputs     = {{into, tensor.as_keys}};
    block_.operations.push_back(std::move(product));
    if (known == products_.end()) {
      const bool first = !of(tensor.tensor);
      alias(tensor.tensor, into);
      if (first)
        products_[tensor.tensor] = into;
    }
  }

  TensorId create(TensorId tensor)
  {
    Tensor gradient = block_.tensor(tensor);
    gradient.name   = "d(" + gradient.name + ")";
    if (gradient.kind == TensorKind::weight)
      gradient.kind = TensorKind::weight_gradient;
    return block_.add(std::move(gradient));
  }

  const std::map<TensorId, TensorId>& all() const { return of_; }

private:
  Block& block_;
  std::map<TensorId, TensorId> of_;
  std::map<TensorId, TensorId> products_; // gradients that products have begun
};

// The gradients of a product's weights, or of its activations.
void differentiate_product(const Block& block, const Operation& forward, bool of_weights, TensorId output_gradient,
                           Gradients& gradients)
{
  const OperationKind kind = forward.kind == OperationKind::lookup ? OperationKind::scatter_add : OperationKind::einsum;
  const Operand gradient{output_gradient, forward.outputs[0].as_keys};
  for (std::size_t i = 0; i < forward.inputs.size(); ++i) {
    const bool weight = block.tensor(forward.inputs[i].tensor).kind == TensorKind::weight;
    if (weight != of_weights || (kind == OperationKind::scatter_add && !weight) ||
        block.tensor(forward.inputs[i].tensor).dtype == Dtype::u8) // a mask has none
      continue;
    Operation product{.name = "", .kind = kind, .inputs = {gradient}, .outputs = {}, .pass = Pass::backward};
    product.attention = forward.attention;
    if (kind == OperationKind::einsum)
      product.inputs.push_back(forward.inputs[1 - i]);
    gradients.from_product(std::move(product), forward.inputs[i]);
  }
}

// One kernel as well: the scores are computed again within it.
void differentiate_attention(Block& block, const Operation& forward, TensorId output_gradient, Gradients& gradients)
{
  Operation gradient = forward;
  gradient.name += " gradient";
  gradient.pass = Pass::backward;
  gradient.inputs.insert(gradient.inputs.end(), forward.outputs.begin(), forward.outputs.end());
  gradient.inputs.push_back({output_gradient});
  gradient.outputs = {};
  for (const Operand& input : forward.inputs)
    gradient.outputs.push_back({gradients.create(input.tensor), input.as_keys});
  block.operations.push_back(gradient);
  for (std::size_t i = 0; i < forward.inputs.size(); ++i)
    gradients.alias(forward.inputs[i].tensor, gradient.outputs[i].tensor);
}

void differentiate_pointwise(Block& block, const Operation& forward, TensorId output_gradient, Gradients& gradients)
{
  const PointwiseKind& kind = *forward.pointwise;
  for (const int input : kind.hands_on)
    gradients.alias(forward.inputs[static_cast<std::size_t>(input)].tensor, output_gradient);
  if (!kind.backward)
    return;
  Operation gradient{.name      = forward.name + " gradient",
                     .kind      = OperationKind::pointwise,
                     .inputs    = {},
                     .outputs   = {},
                     .pointwise = &kind,
                     .passes    = &*kind.backward,
                     .pass      = Pass::backward};
  gradient.attention = forward.attention;
  gradient.overhead  = forward.overhead;
  for (const int input : kind.gradient_reads)
    gradient.inputs.push_back(forward.inputs[static_cast<std::size_t>(input)]);
  for (const int output : kind.gradient_reads_outputs)
    gradient.inputs.push_back(forward.outputs[static_cast<std::size_t>(output)]);
  gradient.inputs.push_back({output_gradient});

  if (kind.statistics_over) {
    Tensor row = block.tensor(output_gradient);
    row.name += " statistics";
    row.dtype = Dtype::f32;
    std::erase_if(row.shape, [&](const Extent& extent) { return extent.dim == *kind.statistics_over; });
    Operation statistics = gradient;
    statistics.passes    = &kind.statistics;
    statistics.name      = forward.name + " gradient statistics";
    statistics.outputs   = {{block.add(std::move(row))}};
    gradient.inputs.push_back(statistics.outputs[0]);
    block.operations.push_back(std::move(statistics));
  }
  for (const int input : kind.gradients_of)
    gradient.outputs.push_back({gradients.create(forward.inputs[static_cast<std::size_t>(input)].tensor)});
  block.operations.push_back(gradient);
  for (std::size_t i = 0; i < kind.gradients_of.size(); ++i)
    gradients.alias(forward.inputs[static_cast<std::size_t>(kind.gradients_of[i])].tensor, gradient.outputs[i].tensor);
}

// Tensors that a gradient operation reads although it is not a gradient: they must be kept or recomputed.
std::set<TensorId> read_by_gradients(const Block& block, std::size_t forward_tensors)
{
  std::set<TensorId> read;
  for (const Operation& operation : block.operations)
    if (operation.pass == Pass::backward)
      for (const Operand& input : operation.inputs)
        if (static_cast<std::size_t>(input.tensor) < forward_tensors)
          read.insert(input.tensor);
  return read;
}

bool keeps(const Block& forward, const Remat& remat, TensorId tensor)
{
  const Tensor& t = forward.tensor(tensor);
  if (t.kind == TensorKind::weight)
    return true;
  const auto makes = [&](const Operation& op) {
    return std::any_of(op.outputs.begin(), op.outputs.end(), [&](const Operand& out) { return out.tensor == tensor; });
  };
  const auto producer = std::find_if(forward.operations.begin(), forward.operations.end(), makes);
  if (producer == forward.operations.end())
    return true; // an input of the block
  switch (remat.keep) {
  case Remat::Keep::inputs:
    return false;
  case Remat::Keep::listed:
    return std::find(remat.kept.begin(), remat.kept.end(), t.name) != remat.kept.end();
  case Remat::Keep::all_but_attention:
    return !producer->attention;
  case Remat::Keep::all:
    return true;
  }
  return true;
}

// The forward operations to repeat: those that lead to a tensor the gradients read and nobody kept.
std::vector<Operation> recomputation(const Block& forward, const Remat& remat, const std::set<TensorId>& read)
{
  std::set<std::size_t> needed;
  std::vector<TensorId> wanted(read.begin(), read.end());
  while (!wanted.empty()) {
    const TensorId tensor = wanted.back();
    wanted.pop_back();
    if (keeps(forward, remat, tensor))
      continue;
    for (std::size_t op = 0; op < forward.operations.size(); ++op)
      for (const Operand& output : forward.operations[op].outputs)
        if (output.tensor == tensor && needed.insert(op).second)
          for (const Operand& input : forward.operations[op].inputs)
            wanted.push_back(input.tensor);
  }
  std::vector<Operation> repeated;
  for (std::size_t op = 0; op < forward.operations.size(); ++op) {
    const bool product = products(forward.operations[op]) > 0;
    if (!needed.contains(op) && !(product && remat.matrix_fraction))
      continue;
    Operation again = forward.operations[op];
    again.name += " again";
    again.pass = Pass::recompute;
    if (product && remat.matrix_fraction && !again.attention)
      again.fraction = *remat.matrix_fraction;
    repeated.push_back(std::move(again));
  }
  return repeated;
}

// What the backward pass reads of the forward pass and does not compute again, besides weights.
std::vector<TensorId> saved_for(const Block& forward, const Remat& remat, const Block& backward)
{
  std::set<TensorId> read;
  for (const Operation& operation : backward.operations)
    for (const Operand& input : operation.inputs)
      if (static_cast<std::size_t>(input.tensor) < forward.tensors.size())
        read.insert(input.tensor);
  std::vector<TensorId> saved;
  for (const TensorId tensor : read)
    if (forward.tensor(tensor).kind == TensorKind::activation && keeps(forward, remat, tensor))
      saved.push_back(tensor);
  return saved;
}

} // namespace

std::map<TensorId, TensorId> append_gradients(Block& block, std::map<TensorId, TensorId> seeds)
{
  Gradients gradients(block, std::move(seeds));
  const std::vector<Operation> forward = block.operations;
  // Products in a row that read the same activation (query, key, value; gate, up) first make its gradient, then those
  // of their weights, so that the one can be reduced behind the others: a compiler's order, and Megatron's.
  const auto beside = [](const Operation& a, const Operation& b) {
    return a.kind == OperationKind::einsum && b.kind == OperationKind::einsum && b.pass == Pass::forward &&
           a.inputs[0].tensor == b.inputs[0].tensor;
  };
  for (auto operation = forward.rbegin(); operation != forward.rend();) {
    auto end = operation + 1;
    while (end != forward.rend() && beside(*operation, *end))
      ++end;
    for (const bool of_weights : {false, true})
      for (auto one = operation; one != end; ++one)
        if (const auto gradient = gradients.of(one->outputs[0].tensor); gradient && one->pass == Pass::forward) {
          if (one->kind == OperationKind::einsum || one->kind == OperationKind::lookup)
            differentiate_product(block, *one, of_weights, *gradient, gradients);
          else if (!of_weights && one->kind == OperationKind::fused_attention)
            differentiate_attention(block, *one, *gradient, gradients);
          else if (!of_weights && one->kind == OperationKind::pointwise)
            differentiate_pointwise(block, *one, *gradient, gradients);
        }
    operation = end;
  }
  for (const auto& [tensor, gradient] : gradients.all())
    if (block.tensor(gradient).kind == TensorKind::weight_gradient)
      block.outputs.push_back(gradient);
  return gradients.all();
}

void mark_saved(Block& forward, const Remat& remat, const Block& backward, TensorId result, TensorId source)
{
  forward.saved = saved_for(forward, remat, backward);
  if (remat.whole_layers == 0)
    return;
  const Remat none{.keep = Remat::Keep::all, .kept = {}, .matrix_fraction = {}};
  const std::vector<TensorId> whole = saved_for(forward, none, backward_block(forward, none, result, source));
  const auto lacks                  = [](const std::vector<TensorId>& all, TensorId one) {
    return std::find(all.begin(), all.end(), one) == all.end();
  };
  for (const TensorId tensor : whole)
    if (lacks(forward.saved, tensor))
      forward.saved_by_some.push_back(tensor);
  for (const TensorId tensor : forward.saved)
    if (lacks(whole, tensor))
      forward.saved_by_rest.push_back(tensor);
  forward.some = remat.whole_layers;
}

Block backward_block(const Block& forward, const Remat& remat, TensorId result, TensorId source)
{
  Block block          = forward;
  block.name           = forward.name + " backward";
  block.outputs        = {};
  block.saved          = {};
  Tensor seed          = block.tensor(result);
  seed.name            = "d(" + seed.name + ")";
  const TensorId given = block.add(std::move(seed));
  const auto gradients = append_gradients(block, {{result, given}});
  if (const auto found = gradients.find(source); found != gradients.end())
    block.outputs.push_back(found->second);

  std::vector<Operation> operations = recomputation(forward, remat, read_by_gradients(block, forward.tensors.size()));
  for (Operation& operation : block.operations)
    if (operation.pass != Pass::forward)
      operations.push_back(std::move(operation));
  block.operations = std::move(operations);
  return block;
}

} // namespace podsim
