#include "sim/sharding/partition_block.hpp"

#include "sim/sharding/combine.hpp"

#include <algorithm>
#include <set>

namespace podsim {
namespace {

// One block while it is partitioned. Each tensor exists in versions: as it was produced, as it is stored,
// as some product needs it.
class BlockPartitioner {
public:
  BlockPartitioner(const Block& block, const Mesh& mesh, const ShardingRules& rules, const Compilation& compilation,
                   AxisMask unreduced)
      : block_(block), mesh_(mesh), rules_(rules), compilation_(compilation), unreduced_(unreduced),
        versions_(block.tensors.size())
  {
    for (std::size_t i = 0; i < block.tensors.size(); ++i) {
      const Tensor& tensor = block.tensors[i];
      stored_.push_back(layout(tensor, table(rules_, tensor.kind), mesh_));
      Layout stands = stored_.back();
      if (tensor.kind == TensorKind::weight_gradient)
        stands.partial = unreduced_ & ~stands.axes(); // as earlier blocks leave it
      versions_[i].push_back({stands, {}, -1});
    }
  }

  DeviceBlock partition()
  {
    for (std::size_t i = 0; i < block_.operations.size(); ++i)
      if (block_.operations[i].kind == OperationKind::pointwise)
        partition_pointwise(block_.operations[i]);
      else
        partition_product(i);
    for (const TensorId output : block_.outputs) {
      Layout wanted = stored(output);
      if (block_.tensor(output).kind == TensorKind::weight_gradient)
        wanted.partial = versions(output).back().layout.partial & unreduced_;
      require(output, wanted);
      keep_until(output, wanted, static_cast<int>(device_.operations.size()));
    }
    device_.name  = block_.name;
    device_.count = block_.count;
    for (const TensorId saved : block_.saved)
      device_.saved += local_bytes(block_.tensor(saved), stored(saved));
    for (const TensorId saved : block_.saved_by_some) // of an iteration on average
      device_.saved += local_bytes(block_.tensor(saved), stored(saved)) * block_.some;
    for (const TensorId saved : block_.saved_by_rest)
      device_.saved += local_bytes(block_.tensor(saved), stored(saved)) * -block_.some;
    if (compilation_.combines)
      combine(device_, of_weights_);
    return std::move(device_);
  }

private:
  struct Version {
    Layout layout;
    std::vector<int> producers; // operations to wait for
    int buffer;                 // index in DeviceBlock::buffers, -1 for what is counted elsewhere
  };

  std::vector<Version>& versions(TensorId tensor) { return versions_[static_cast<std::size_t>(tensor)]; }

  const Layout& stored(TensorId tensor) const { return stored_[static_cast<std::size_t>(tensor)]; }

  Bytes local_bytes(const Tensor& tensor, const Layout& lies) const
  {
    return Bytes(local_elements(tensor, lies, mesh_) * bytes_per_element(tensor.dtype));
  }

  // What a collective moves of a tensor that is split as a whole: as many parts of the same size.
  Bytes padded(const Tensor& tensor, const Layout& split, AxisMask axes) const
  {
    return local_bytes(tensor, split) * static_cast<double>(mesh_.size(axes));
  }

  int add(DeviceOperation operation)
  {
    device_.operations.push_back(std::move(operation));
    return static_cast<int>(device_.operations.size()) - 1;
  }

  // The update writes weights and state in their places. A gradient that lies as the device keeps it is summed up and
  // reduced in the buffer that it keeps: by the product that adds to it, and by what reduces all of them at the end.
  int add_buffer(const Tensor& tensor, const Layout& lies, int first)
  {
    if (pass_ == Pass::update && (tensor.kind == TensorKind::weight || tensor.kind == TensorKind::optimizer_state))
      return -1;
    if (tensor.kind == TensorKind::weight_gradient &&
        (pass_ == Pass::update || compilation_.gradients.accumulation == Accumulation::fused) &&
        lies.dims == layout(tensor.shape, rules_.gradients, mesh_).dims)
      return -1;
    const Buffer::Kind kind = tensor.kind == TensorKind::weight            ? Buffer::Kind::gathered_weights
                              : tensor.kind == TensorKind::weight_gradient ? Buffer::Kind::gradients
                                                                           : Buffer::Kind::workspace;
    device_.buffers.push_back({tensor.name, kind, local_bytes(tensor, lies), first, first});
    return static_cast<int>(device_.buffers.size()) - 1;
  }

  void keep_until(TensorId tensor, const Layout& lies, int operation)
  {
    for (const Version& version : versions(tensor))
      if (version.layout == lies && version.buffer >= 0)
        device_.buffers[static_cast<std::size_t>(version.buffer)].last = operation;
  }

  // Inserts a collective that makes a new version of the tensor from `from`.
  Version communicate(TensorId id, const Version& from, CollectiveKind kind, AxisMask axes, Bytes full, Layout result)
  {
    const Tensor& tensor = block_.tensor(id);
    const bool gradient  = tensor.kind == TensorKind::weight_gradient;
    const bool weight    = tensor.kind == TensorKind::weight;
    DeviceOperation operation{
        .name = std::string(name(kind)) + " " + tensor.name, .kind = DeviceOperation::Kind::collective, .pass = pass_};
    const double elements = full.value() / bytes_per_element(tensor.dtype);
    if (gradient && compilation_.gradients.accumulation != Accumulation::none) // it is the sum that is reduced
      full = Bytes(elements * bytes_per_element(compilation_.gradients.accumulator));
    operation.collective = {kind, axes, full};
    operation.needs      = from.producers;
    if (gradient && !from.producers.empty())
      if (const int copy =
              copies("reduction of ", tensor, elements, compilation_.copies.before_gradient_reduction, from.producers);
          copy >= 0)
        operation.needs = {copy};
    operation.asynchronous = (weight && compilation_.overlap.weight_gathers) ||
                             (gradient && compilation_.overlap.gradient_reductions && !from.producers.empty());
    const int index = add(std::move(operation));
    if (weight || gradient)
      of_weights_.insert(index);
    if (from.buffer >= 0)
      device_.buffers[static_cast<std::size_t>(from.buffer)].last = index;
    const int buffer = add_buffer(tensor, result, index);
    if (weight)
      if (const int copy = copies("gather of ", tensor, elements, compilation_.copies.after_weight_gather, {index});
          copy >= 0)
        return {result, {copy}, buffer};
    return {result, {index}, buffer};
  }

  // The index of an operation that copies, -1 where there is nothing to copy.
  int copies(const char* what, const Tensor& tensor, double elements, double bytes, const std::vector<int>& after)
  {
    if (bytes <= 0)
      return -1;
    DeviceOperation copy{.name = std::string("copies for the ") + what + tensor.name,
                         .kind = DeviceOperation::Kind::compute,
                         .pass = pass_};
    copy.work.hbm = Bytes(elements * bytes);
    copy.needs    = after;
    return add(std::move(copy));
  }

  // The operations that give `tensor` in the wanted layout, with the collectives it takes.
  std::vector<int> require(TensorId id, const Layout& wanted)
  {
    const Tensor& tensor = block_.tensor(id);
    const auto exact     = [&](const Version& version) { return version.layout == wanted; };
    const auto known     = std::find_if(versions(id).begin(), versions(id).end(), exact);
    if (known != versions(id).end())
      return known->producers;

    Version version = versions(id).back();
    for (const Version& other : versions(id)) // a whole sum beats a partial one
      if ((other.layout.partial & ~wanted.partial) == 0)
        version = other;
    if (const AxisMask sums = version.layout.partial & ~wanted.partial; sums != 0) {
      version = reduce(id, version, sums);
      versions(id).push_back(version);
    }
    version           = exchange(id, version, wanted);
    AxisMask gathered = 0;
    Layout whole      = version.layout;
    for (std::size_t dim = 0; dim < dim_count; ++dim) {
      gathered |= version.layout.dims[dim] & ~wanted.dims[dim];
      whole.dims[dim] &= wanted.dims[dim];
    }
    if (gathered != 0)
      version = communicate(id, version, CollectiveKind::all_gather, gathered,
                            tensor.kind == TensorKind::activation ? local_bytes(tensor, whole)
                                                                  : padded(tensor, version.layout, gathered),
                            whole);
    version.layout = wanted; // what is left to do is a slice
    versions(id).push_back(version);
    return version.producers;
  }

  // An axis that splits one dimension and shall split another (tokens and experts): every device keeps a part of what
  // it has and sends the others to those who want them, instead of all gathering everything.
  Version exchange(TensorId id, Version version, const Layout& wanted)
  {
    Layout result  = version.layout;
    AxisMask moved = 0;
    for (std::size_t dim = 0; dim < dim_count; ++dim)
      moved |= version.layout.dims[dim] & ~wanted.dims[dim] & wanted.axes();
    if (moved == 0)
      return version;
    for (std::size_t dim = 0; dim < dim_count; ++dim)
      result.dims[dim] = (result.dims[dim] & ~moved) | (wanted.dims[dim] & moved);
    return communicate(id, version, CollectiveKind::all_to_all, moved, local_bytes(block_.tensor(id), version.layout),
                       result);
  }

  Version reduce(TensorId id, Version version, AxisMask sums)
  {
    const Tensor& tensor     = block_.tensor(id);
    const Layout& storage    = stored(id);
    const AxisMask scattered = sums & storage.axes() & ~version.layout.axes();
    if (scattered != 0) {
      Layout result = version.layout;
      for (std::size_t dim = 0; dim < dim_count; ++dim)
        result.dims[dim] |= storage.dims[dim] & scattered;
      result.partial &= ~scattered;
      version = communicate(id, version, CollectiveKind::reduce_scatter, scattered,
                            tensor.kind == TensorKind::activation ? local_bytes(tensor, version.layout)
                                                                  : padded(tensor, result, scattered),
                            result);
    }
    if (const AxisMask rest = sums & ~scattered; rest != 0) {
      Layout result = version.layout;
      result.partial &= ~rest;
      version = communicate(id, version, CollectiveKind::all_reduce, rest, local_bytes(tensor, version.layout), result);
    }
    return version;
  }

  void produce(const Operand& output, const Layout& lies, int index, bool accumulates)
  {
    std::vector<Version>& all = versions(output.tensor);
    const bool first          = !accumulates || all.back().producers.empty();
    if (first)
      all = {{lies, {index}, add_buffer(block_.tensor(output.tensor), lies, index)}};
    else {
      if (all.size() > 1)
        throw std::logic_error("a sum was read before it was complete: " + block_.tensor(output.tensor).name);
      all.back().producers.push_back(index);
      all.back().layout.partial |= lies.partial; // a whole summand is added by one member of the group
    }
  }

  void needs(DeviceOperation& operation, const Operand& input, const Layout& wanted)
  {
    for (const int producer : require(input.tensor, wanted))
      operation.needs.push_back(producer);
    used_.emplace_back(input.tensor, wanted);
  }

  int place(DeviceOperation operation)
  {
    const int index = add(std::move(operation));
    for (const auto& [tensor, lies] : used_)
      keep_until(tensor, lies, index);
    used_.clear();
    return index;
  }

  // The loops of an operation in the order in which they are split. One mesh axis may split tokens and experts: where
  // every operand has experts (their own products) it is the experts' first, elsewhere (router, dispatch,
  // combination) the tokens'.
  std::vector<Extent> ordered_loops(const Operation& operation) const
  {
    std::vector<Extent> extents = loops(block_, operation);
    const auto has        = [&](const Operand& operand) { return block_.tensor(operand.tensor).size(Dim::expert) > 1; };
    const bool of_experts = std::all_of(operation.inputs.begin(), operation.inputs.end(), has) &&
                            std::all_of(operation.outputs.begin(), operation.outputs.end(), has);
    std::stable_partition(extents.begin(), extents.end(),
                          [&](const Extent& extent) { return (extent.dim == Dim::expert) == of_experts; });
    return extents;
  }

  // An operand as the loops split its dimensions.
  Layout seen(const Operand& operand, const Layout& split) const
  {
    Layout lies = layout(seen_shape(block_, operand), split.dims, mesh_);
    if (operand.as_keys)
      std::swap(lies.dims[static_cast<std::size_t>(Dim::sequence)],
                lies.dims[static_cast<std::size_t>(Dim::key_sequence)]);
    return lies;
  }

  // Einsums, lookups and scatter-adds, which have their loops but no FLOPs, and fused attention.
  void partition_product(std::size_t place_in_block)
  {
    const Operation& operation        = block_.operations[place_in_block];
    pass_                             = operation.pass;
    const std::vector<Extent> extents = ordered_loops(operation);
    const Layout split                = layout(extents, rules_.compute, mesh_);

    DeviceOperation device{.name = operation.name, .kind = DeviceOperation::Kind::compute, .pass = operation.pass};
    Bytes traffic;
    for (const Operand& input : operation.inputs) {
      const Layout lies = seen(input, split);
      needs(device, input, lies);
      traffic += local_bytes(block_.tensor(input.tensor), lies);
    }
    std::vector<Layout> results;
    Bytes written;
    for (const Operand& output : operation.outputs) {
      Layout result  = seen(output, split);
      result.partial = split.axes() & ~result.axes();
      written += local_bytes(block_.tensor(output.tensor), result);
      results.push_back(result);
    }
    traffic += written * (operation.accumulates ? 2.0 : 1.0);

    const Operand& output = operation.outputs[0];
    if (operation.kind == OperationKind::fused_attention) {
      device.work.matrix = attention_shape(operation, extents, split);
      device.work.matrix_efficiency =
          operation.pass == Pass::backward ? operation.kernel.backward_efficiency : operation.kernel.forward_efficiency;
    } else if (operation.kind == OperationKind::einsum) {
      const std::vector<Extent> a   = seen_shape(block_, operation.inputs[0]);
      const std::vector<Extent> b   = seen_shape(block_, operation.inputs[1]);
      const std::vector<Extent> out = seen_shape(block_, output);
      const auto has                = [](const std::vector<Extent>& shape, const Extent& wanted) {
        return std::any_of(shape.begin(), shape.end(), [&](const Extent& extent) {
          return extent.dim == wanted.dim && extent.size == wanted.size;
        });
      };
      MatrixShape matrix;
      for (const Extent& extent : extents) {
        const double size = local_size(extent, split.dims, mesh_);
        const bool in_a   = has(a, extent);
        const bool in_b   = has(b, extent);
        const bool in_out = has(out, extent);
        (in_a && in_b && in_out ? matrix.batch : !in_out ? matrix.k : in_a ? matrix.m : matrix.n) *= size;
      }
      matrix.m *= operation.fraction;
      device.work.matrix = matrix;
    } else if (operation.kind == OperationKind::lookup) {
      traffic = written * 2.0; // the rows that are looked up, and the result
    } else {
      traffic = written + (traffic - written) * 3.0; // zeroes; each gradient, and its row read and written
    }
    device.work.hbm = traffic * operation.fraction;
    if (compilation_.overlap.activation_gathers && operation.pass == Pass::backward)
      gather_saved_ahead(place_in_block);
    int index = place(std::move(device));
    if (block_.tensor(output.tensor).kind == TensorKind::weight_gradient && operation.kind == OperationKind::einsum)
      index = accumulate(output.tensor, results.front(), index);
    for (std::size_t i = 0; i < results.size(); ++i)
      produce(operation.outputs[i], results[i], index, operation.accumulates);
    if (compilation_.overlap.activation_reductions && operation.pass == Pass::backward)
      for (const Operand& made : operation.outputs)
        reduce_when_complete(made.tensor, place_in_block);
  }

  // Saved activations that the gradients of weights following this product read: their gathers start beside it (the
  // second gather of sequence parallelism, behind the product that makes the activation's gradient). Nothing
  // makes them in this block, but the engine lets what waits for nothing start iterations ahead, as weights may;
  // an activation is kept whole for as short as can be, so its gather waits for the operation before.
  void gather_saved_ahead(std::size_t place_in_block)
  {
    const auto blocking = std::find_if(device_.operations.rbegin(), device_.operations.rend(),
                                       [](const DeviceOperation& op) { return !op.asynchronous; });
    if (blocking == device_.operations.rend())
      return;
    const int before = static_cast<int>(device_.operations.rend() - blocking) - 1;
    for (std::size_t i = place_in_block + 1; i < block_.operations.size(); ++i) {
      const Operation& next = block_.operations[i];
      if (next.kind != OperationKind::einsum || next.pass != Pass::backward)
        return;
      const Layout split = layout(ordered_loops(next), rules_.compute, mesh_);
      for (const Operand& input : next.inputs) {
        if (block_.tensor(input.tensor).kind != TensorKind::activation || made_here(input.tensor))
          continue;
        const std::size_t known = device_.operations.size();
        require(input.tensor, seen(input, split));
        run_beside(known, before);
      }
    }
  }

  // After the last product that adds to an activation's gradient, its sum over the mesh runs beside what follows, until
  // somebody in this block reads it. Where nobody does, the next block would not know that it has to wait.
  void reduce_when_complete(TensorId id, std::size_t place_in_block)
  {
    bool read = false;
    for (std::size_t i = place_in_block + 1; i < block_.operations.size(); ++i) {
      if (among(block_.operations[i].outputs, id))
        return; // it is not complete
      read = read || among(block_.operations[i].inputs, id);
    }
    const Version made = versions(id).back();
    if (!read || block_.tensor(id).kind != TensorKind::activation || made.layout.partial == 0)
      return;
    const std::size_t known = device_.operations.size();
    versions(id).push_back(reduce(id, made, made.layout.partial));
    run_beside(known, -1);
  }

  static bool among(const std::vector<Operand>& operands, TensorId id)
  {
    return std::any_of(operands.begin(), operands.end(), [&](const Operand& one) { return one.tensor == id; });
  }

  bool made_here(TensorId id) const
  {
    return std::any_of(block_.operations.begin(), block_.operations.end(),
                       [&](const Operation& operation) { return among(operation.outputs, id); });
  }

  // The collectives from `first` on leave the order; `after`: what they wait for besides their operands, or -1.
  void run_beside(std::size_t first, int after)
  {
    for (std::size_t i = first; i < device_.operations.size(); ++i) {
      device_.operations[i].asynchronous = true;
      if (after >= 0)
        device_.operations[i].needs.push_back(after);
    }
  }

  // Adds a product's gradient to the sum over micro-batches: in the product, which then reads and writes the sum
  // instead of writing its own result, or by an operation that reads both and writes the sum.
  int accumulate(TensorId gradient, const Layout& lies, int product)
  {
    const Gradients& how = compilation_.gradients;
    if (how.accumulation == Accumulation::none)
      return product;
    const double elements = local_elements(block_.tensor(gradient), lies, mesh_);
    const Bytes own       = local_bytes(block_.tensor(gradient), lies);
    const Bytes sum(elements * 2 * bytes_per_element(how.accumulator));
    if (how.accumulation == Accumulation::fused) {
      DeviceOperation& into = device_.operations[static_cast<std::size_t>(product)];
      into.work.hbm         = into.work.hbm + sum - own;
      return product;
    }
    DeviceOperation add_up{.name = "accumulate " + block_.tensor(gradient).name,
                           .kind = DeviceOperation::Kind::compute,
                           .pass = Pass::backward};
    add_up.work.hbm    = own + sum;
    add_up.work.vector = Ops(elements);
    add_up.needs       = {product};
    return add(std::move(add_up));
  }

  // The products of a fused attention side by side as one, each of rows x keys with the heads' dimension.
  MatrixShape attention_shape(const Operation& operation, const std::vector<Extent>& extents, const Layout& split) const
  {
    MatrixShape shape;
    for (const Extent& extent : extents)
      (extent.dim == Dim::sequence       ? shape.m
       : extent.dim == Dim::key_sequence ? shape.n
       : extent.dim == Dim::head_dim     ? shape.k
                                         : shape.batch) *= local_size(extent, split.dims, mesh_);
    shape.m *= operation.kernel.skips_masked ? 0.5 : 1;
    shape.n *= products(operation);
    return shape;
  }

  void partition_pointwise(const Operation& operation)
  {
    pass_ = operation.pass;
    DeviceOperation device{.name = operation.name, .kind = DeviceOperation::Kind::compute, .pass = operation.pass};
    double largest = 0;
    AxisMask all   = 0;
    // Weights are updated where the optimizer's state lies.
    const auto place_of = [&](const Operand& operand) {
      const Tensor& tensor = block_.tensor(operand.tensor);
      return operation.pass == Pass::update && tensor.kind != TensorKind::activation
                 ? layout(tensor, rules_.optimizer, mesh_)
                 : stored(operand.tensor);
    };
    const auto measure = [&](const Operand& operand, double passes) {
      const Tensor& tensor = block_.tensor(operand.tensor);
      const Layout lies    = place_of(operand);
      device.work.hbm += local_bytes(tensor, lies) * passes;
      largest = std::max(largest, local_elements(tensor, lies, mesh_));
      all |= lies.axes();
    };
    for (std::size_t i = 0; i < operation.inputs.size(); ++i) {
      needs(device, operation.inputs[i], place_of(operation.inputs[i]));
      measure(operation.inputs[i], operation.passes->reads.at(i));
    }
    for (const Operand& output : operation.outputs)
      measure(output, operation.passes->writes);
    device.work.hbm    = device.work.hbm * operation.overhead;
    device.work.vector = Ops(largest * operation.passes->vector_ops);
    const int index    = place(std::move(device));
    for (const Operand& output : operation.outputs) {
      Layout result  = place_of(output);
      result.partial = all & ~result.axes() & summed_axes(operation, output, place_of);
      produce(output, result, index, operation.accumulates);
    }
  }

  // Axes that split a dimension of an input which the output has not: the output is a sum over it.
  template <class PlaceOf>
  AxisMask summed_axes(const Operation& operation, const Operand& output, const PlaceOf& place_of) const
  {
    AxisMask axes = 0;
    for (const Operand& input : operation.inputs) {
      const Tensor& tensor = block_.tensor(input.tensor);
      const Layout lies    = place_of(input);
      for (const Extent& extent : tensor.shape)
        if (block_.tensor(output.tensor).size(extent.dim) == 1)
          axes |= lies.dims[static_cast<std::size_t>(extent.dim)];
    }
    return axes;
  }

  const Block& block_;
  const Mesh& mesh_;
  const ShardingRules& rules_;
  const Compilation& compilation_;
  AxisMask unreduced_;
  std::vector<Layout> stored_; // of each tensor, like
  std::vector<std::vector<Version>> versions_;
  DeviceBlock device_;
  Pass pass_ = Pass::forward;
  std::vector<std::pair<TensorId, Layout>> used_; // by the operation being placed
  std::set<int> of_weights_;                      // collectives of weights and gradients
};

} // namespace

DeviceBlock partition_block(const Block& block, const Mesh& mesh, const ShardingRules& rules,
                            const Compilation& compilation, AxisMask unreduced)
{
  return BlockPartitioner(block, mesh, rules, compilation, unreduced).partition();
}

} // namespace podsim
