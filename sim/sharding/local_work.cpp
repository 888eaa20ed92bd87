#include "sim/sharding/local_work.hpp"

#include <algorithm>

namespace podsim {
namespace {

Bytes bytes(const Tensor& tensor, double elements)
{
  return Bytes(elements * bytes_per_element(tensor.dtype));
}

// The loops of an einsum on one device as a batch of matrix products.
MatrixShape einsum_shape(const Block& block, const Operation& operation, const OperationLayouts& lies, const Mesh& mesh)
{
  const auto has = [&](const Operand& operand, const Extent& wanted) {
    const std::vector<Extent>& shape = block.tensor(operand.tensor).shape;
    return std::any_of(shape.begin(), shape.end(), [&](const Extent& extent) {
      return seen(operand, extent.dim) == wanted.dim && extent.size == wanted.size;
    });
  };
  MatrixShape matrix;
  for (const Extent& extent : lies.loops) {
    const bool in_a   = has(operation.inputs[0], extent);
    const bool in_b   = has(operation.inputs[1], extent);
    const bool in_out = has(operation.outputs[0], extent);
    (in_a && in_b && in_out ? matrix.batch
     : !in_out              ? matrix.k
     : in_a                 ? matrix.m
                            : matrix.n) *= local_size(extent, lies.split.dims, mesh);
  }
  matrix.m *= operation.fraction;
  return matrix;
}

// The products of a fused attention side by side as one, each of rows x keys with the heads' dimension.
MatrixShape attention_shape(const Operation& operation, const OperationLayouts& lies, const Mesh& mesh)
{
  MatrixShape shape;
  for (const Extent& extent : lies.loops)
    (extent.dim == Dim::sequence       ? shape.m
     : extent.dim == Dim::key_sequence ? shape.n
     : extent.dim == Dim::head_dim     ? shape.k
                                       : shape.batch) *= local_size(extent, lies.split.dims, mesh);
  shape.m *= operation.kernel.skips_masked ? 0.5 : 1;
  shape.n *= products(operation);
  return shape;
}

Work product_work(const Block& block, std::size_t place, const BlockLayouts& lies, const Mesh& mesh)
{
  const Operation& operation  = block.operations[place];
  const OperationLayouts& own = lies.operations[place];
  Work work;
  Bytes traffic;
  for (const int input : lies.inputs_of(place))
    traffic += bytes(block.tensor(lies.version(input).tensor), lies.version(input).elements);
  Bytes written;
  for (const OutputLayout& output : lies.outputs_of(place))
    written += bytes(block.tensor(lies.version(output.version).tensor), output.elements);
  traffic += written * (operation.accumulates ? 2.0 : 1.0);

  if (operation.kind == OperationKind::fused_attention) {
    work.matrix = attention_shape(operation, own, mesh);
    work.matrix_efficiency =
        operation.pass == Pass::backward ? operation.kernel.backward_efficiency : operation.kernel.forward_efficiency;
  } else if (operation.kind == OperationKind::einsum) {
    work.matrix = einsum_shape(block, operation, own, mesh);
  } else if (operation.kind == OperationKind::lookup) {
    traffic = written * 2.0; // the rows that are looked up, and the result
  } else {
    traffic = written + (traffic - written) * 3.0; // zeroes; each gradient, and its row read and written
  }
  work.hbm = traffic * operation.fraction;
  return work;
}

Work pointwise_work(const Block& block, std::size_t place, const BlockLayouts& lies)
{
  const Operation& operation = block.operations[place];
  Work work;
  double largest     = 0;
  const auto measure = [&](int version, double elements, double passes) {
    work.hbm += bytes(block.tensor(lies.version(version).tensor), elements) * passes;
    largest = std::max(largest, elements);
  };
  const std::span<const int> inputs = lies.inputs_of(place);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    measure(inputs[i], lies.version(inputs[i]).elements, operation.passes->reads.at(i));
  for (const OutputLayout& output : lies.outputs_of(place))
    measure(output.version, output.elements, operation.passes->writes);
  work.hbm    = work.hbm * operation.overhead;
  work.vector = Ops(largest * operation.passes->vector_ops);
  return work;
}

// A product's gradient is added to the sum over micro-batches: in the product, which then reads and writes the sum
// instead of writing its own result, or by an operation that reads both and writes the sum.
void accumulate(OperationWork& work, const Tensor& gradient, double elements, const Gradients& how)
{
  const Bytes own = bytes(gradient, elements);
  const Bytes sum(elements * 2 * bytes_per_element(how.accumulator));
  if (how.accumulation == Accumulation::fused)
    work.own.hbm = work.own.hbm + sum - own;
  if (how.accumulation == Accumulation::separate) {
    work.sum.emplace();
    work.sum->hbm    = own + sum;
    work.sum->vector = Ops(elements);
  }
}

CollectiveWork communicated(const BlockCollective& collective, const Block& block, const BlockLayouts& lies,
                            const Gradients& gradients, const Copies& copies)
{
  const Tensor& tensor = block.tensor(collective.tensor);
  CollectiveWork work{bytes(tensor, collective.elements), {}, {}};
  if (tensor.kind == TensorKind::weight)
    work.copied_after = Bytes(collective.elements * copies.after_weight_gather);
  if (tensor.kind == TensorKind::weight_gradient) {
    if (gradients.accumulation != Accumulation::none) // it is the sum that is reduced
      work.full = Bytes(collective.elements * bytes_per_element(gradients.accumulator));
    if (lies.version(collective.from).origin != Version::Origin::stored)
      work.copied_before = Bytes(collective.elements * copies.before_gradient_reduction);
  }
  return work;
}

} // namespace

BlockWork local_work(const Block& block, const BlockLayouts& lies, const Mesh& mesh, const Gradients& gradients,
                     const Copies& copies)
{
  BlockWork work;
  work.operations.reserve(block.operations.size());
  work.collectives.reserve(lies.collectives.size());
  for (std::size_t i = 0; i < block.operations.size(); ++i) {
    const Operation& operation = block.operations[i];
    const bool is_pointwise    = operation.kind == OperationKind::pointwise;
    OperationWork& one         = work.operations.emplace_back(
                OperationWork{is_pointwise ? pointwise_work(block, i, lies) : product_work(block, i, lies, mesh), {}});
    const Tensor& made = block.tensor(operation.outputs[0].tensor);
    if (made.kind == TensorKind::weight_gradient && operation.kind == OperationKind::einsum)
      accumulate(one, made, lies.outputs_of(i).front().elements, gradients);
  }
  for (const BlockCollective& collective : lies.collectives)
    work.collectives.push_back(communicated(collective, block, lies, gradients, copies));
  return work;
}

} // namespace podsim
