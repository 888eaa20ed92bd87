#include "sim/program/program.hpp"

#include <algorithm>

namespace podsim {

const std::vector<std::pair<std::string, Dim>>& dim_names()
{
  static const std::vector<std::pair<std::string, Dim>> names{
      {"batch", Dim::batch},       {"sequence", Dim::sequence}, {"key_sequence", Dim::key_sequence},
      {"embed", Dim::embed},       {"mlp", Dim::mlp},           {"heads", Dim::heads},
      {"head_dim", Dim::head_dim}, {"vocab", Dim::vocab},       {"position", Dim::position},
      {"layer", Dim::layer},       {"expert", Dim::expert},     {"capacity", Dim::capacity}};
  return names;
}

double Tensor::elements() const
{
  double product = 1;
  for (const Extent& extent : shape)
    product *= static_cast<double>(extent.size);
  return product;
}

std::int64_t Tensor::size(Dim dim) const
{
  for (const Extent& extent : shape)
    if (extent.dim == dim)
      return extent.size;
  return 1;
}

TensorId Block::add(Tensor tensor)
{
  tensors.push_back(std::move(tensor));
  return static_cast<TensorId>(tensors.size()) - 1;
}

std::optional<TensorId> Block::find(const std::string& wanted) const
{
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].name == wanted)
      return static_cast<TensorId>(i);
  return std::nullopt;
}

void Loops::add(const Extent& extent)
{
  const auto known = std::find_if(begin(), end(), [&](const Extent& one) { return one.dim == extent.dim; });
  if (known == end())
    extents_.at(count_++) = extent;
  else
    known->size = std::max(known->size, extent.size);
}

Loops loops(const Block& block, const Operation& operation)
{
  Loops all;
  for (const std::vector<Operand>* operands : {&operation.inputs, &operation.outputs})
    for (const Operand& operand : *operands)
      for (const Extent& extent : block.tensor(operand.tensor).shape)
        all.add({seen(operand, extent.dim), extent.size});
  return all;
}

int products(const Operation& operation)
{
  switch (operation.kind) {
  case OperationKind::einsum:
    return 1;
  case OperationKind::fused_attention:
    return operation.pass == Pass::backward ? 5 : 2;
  default:
    return 0;
  }
}

double flops(const Block& block, const Operation& operation)
{
  double multiply_adds = products(operation);
  if (multiply_adds > 0)
    for (const Extent& extent : loops(block, operation))
      multiply_adds *= static_cast<double>(extent.size);
  return 2 * multiply_adds * operation.fraction;
}

double executed_flops(const Block& block, const Operation& operation)
{
  const bool half = operation.kind == OperationKind::fused_attention && operation.kernel.skips_masked;
  return flops(block, operation) * (half ? 0.5 : 1);
}

} // namespace podsim
