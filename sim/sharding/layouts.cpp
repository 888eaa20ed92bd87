#include "sim/sharding/layouts.hpp"

#include <algorithm>

namespace podsim {
namespace {

class LayoutPass {
public:
  LayoutPass(const Block& block, const Mesh& mesh, const ShardingRules& rules, AxisMask unreduced)
      : block_(block), mesh_(mesh), rules_(rules), unreduced_(unreduced), current_(block.tensors.size())
  {
    made_.versions.reserve(3 * block.tensors.size());
    made_.operations.reserve(block.operations.size() + block.outputs.size());
    for (const Tensor& tensor : block.tensors) {
      Layout stands = layout(tensor, table(rules_, tensor.kind), mesh_);
      if (tensor.kind == TensorKind::weight_gradient)
        stands.partial = unreduced_ & ~stands.axes(); // as earlier blocks leave it
      const auto id = static_cast<TensorId>(made_.versions.size());
      add({id, stands, local_elements(tensor, stands, mesh_), Version::Origin::stored, -1, -1}, true);
    }
  }

  BlockLayouts take()
  {
    for (const Operation& operation : block_.operations) {
      begin();
      if (operation.kind == OperationKind::pointwise)
        pointwise(operation);
      else
        product(operation);
    }
    for (const TensorId output : block_.outputs) {
      begin();
      Layout wanted  = stored(output);
      wanted.partial = block_.tensor(output).kind == TensorKind::weight_gradient
                           ? last(output).layout.partial & unreduced_
                           : AxisMask{0};
      made_.inputs.push_back(require(output, wanted));
    }
    return std::move(made_);
  }

private:
  void begin()
  {
    made_.operations.push_back({.loops            = {},
                                .split            = {},
                                .first_collective = made_.collectives.size(),
                                .first_input      = made_.inputs.size(),
                                .first_output     = made_.outputs.size()});
  }

  const Version& version(int id) const { return made_.version(id); }

  // The versions that a tensor has now, the latest first.
  std::vector<int>& current(TensorId tensor) { return current_[static_cast<std::size_t>(tensor)]; }
  const Version& last(TensorId tensor) { return version(current(tensor).back()); }

  const Layout& stored(TensorId tensor) const { return version(tensor).layout; }

  int add(Version made, bool known)
  {
    const int id = static_cast<int>(made_.versions.size());
    if (made.holder < 0)
      made.holder = id;
    if (known)
      current(made.tensor).push_back(id);
    made_.versions.push_back(made);
    return id;
  }

  // Inserts a collective that makes a new version from `from`; `known`: one that others may read.
  int communicate(int from, CollectiveKind kind, AxisMask axes, const Layout& result, bool known)
  {
    const TensorId id     = version(from).tensor;
    const Tensor& tensor  = block_.tensor(id);
    const double before   = version(from).elements;
    const double after    = local_elements(tensor, result, mesh_);
    const bool activation = tensor.kind == TensorKind::activation;
    const auto parts      = static_cast<double>(mesh_.size(axes));
    double moved          = before;
    if (kind == CollectiveKind::all_gather)
      moved = activation ? after : before * parts; // what is split as a whole is parts of the same size
    else if (kind == CollectiveKind::reduce_scatter && !activation)
      moved = after * parts;
    const int maker = static_cast<int>(made_.collectives.size());
    const int made  = add({id, result, after, Version::Origin::collective, maker, -1}, known);
    made_.collectives.push_back({id, kind, axes, from, made, moved});
    return made;
  }

  // The version of a tensor in the wanted layout, with the collectives that it takes.
  int require(TensorId id, const Layout& wanted)
  {
    const std::vector<int>& known = current(id);
    const auto exact              = [&](int one) { return version(one).layout == wanted; };
    if (const auto found = std::find_if(known.begin(), known.end(), exact); found != known.end())
      return *found;

    int from = known.back();
    for (const int other : known) // a whole sum beats a partial one
      if ((version(other).layout.partial & ~wanted.partial) == 0)
        from = other;
    if (const AxisMask sums = version(from).layout.partial & ~wanted.partial; sums != 0)
      from = reduce(from, sums);
    from              = exchange(from, wanted);
    AxisMask gathered = 0;
    Layout whole      = version(from).layout;
    for (std::size_t dim = 0; dim < dim_count; ++dim) {
      gathered |= whole.dims[dim] & ~wanted.dims[dim];
      whole.dims[dim] &= wanted.dims[dim];
    }
    if (gathered != 0)
      from = communicate(from, CollectiveKind::all_gather, gathered, whole, false);
    if (version(from).layout == wanted) {
      if (known.back() != from)
        current(id).push_back(from);
      return from;
    }
    Version slice  = version(from); // what is left to do is a slice
    slice.layout   = wanted;
    slice.elements = local_elements(block_.tensor(id), wanted, mesh_);
    return add(slice, true);
  }

  // An axis that splits one dimension and shall split another (tokens and experts): every device keeps a part of what
  // it has and sends the others to those who want them, instead of all gathering everything.
  int exchange(int from, const Layout& wanted)
  {
    Layout result       = version(from).layout;
    const AxisMask kept = wanted.axes();
    AxisMask moved      = 0;
    for (std::size_t dim = 0; dim < dim_count; ++dim)
      moved |= result.dims[dim] & ~wanted.dims[dim] & kept;
    if (moved == 0)
      return from;
    for (std::size_t dim = 0; dim < dim_count; ++dim)
      result.dims[dim] = (result.dims[dim] & ~moved) | (wanted.dims[dim] & moved);
    return communicate(from, CollectiveKind::all_to_all, moved, result, false);
  }

  int reduce(int from, AxisMask sums)
  {
    const Layout& storage    = stored(version(from).tensor);
    Layout result            = version(from).layout;
    const AxisMask scattered = sums & storage.axes() & ~result.axes();
    const AxisMask rest      = sums & ~scattered;
    if (scattered != 0) {
      for (std::size_t dim = 0; dim < dim_count; ++dim)
        result.dims[dim] |= storage.dims[dim] & scattered;
      result.partial &= ~scattered;
      from = communicate(from, CollectiveKind::reduce_scatter, scattered, result, rest == 0);
    }
    if (rest == 0)
      return from;
    result.partial &= ~rest;
    return communicate(from, CollectiveKind::all_reduce, rest, result, true);
  }

  void produce(const Operand& output, const Layout& lies, bool accumulates)
  {
    const Tensor& tensor  = block_.tensor(output.tensor);
    const double elements = local_elements(tensor, lies, mesh_);
    std::vector<int>& all = current(output.tensor);
    if (!accumulates || version(all.back()).origin == Version::Origin::stored) {
      all.clear();
      add({output.tensor, lies, elements, Version::Origin::operations, -1, -1}, true);
    } else {
      if (all.size() > 1)
        throw std::logic_error("a sum was read before it was complete: " + tensor.name);
      // A whole summand is added by one member of the group.
      made_.versions[static_cast<std::size_t>(all.back())].layout.partial |= lies.partial;
    }
    made_.outputs.push_back({all.back(), elements});
  }

  // The loops of an operation in the order in which they are split. One mesh axis may split tokens and experts: where
  // every operand has experts (their own products) it is the experts' first, elsewhere (router, dispatch,
  // combination) the tokens'.
  Loops ordered_loops(const Operation& operation) const
  {
    Loops extents         = loops(block_, operation);
    const auto has        = [&](const Operand& operand) { return block_.tensor(operand.tensor).size(Dim::expert) > 1; };
    const bool of_experts = std::all_of(operation.inputs.begin(), operation.inputs.end(), has) &&
                            std::all_of(operation.outputs.begin(), operation.outputs.end(), has);
    const auto expert =
        std::find_if(extents.begin(), extents.end(), [](const Extent& e) { return e.dim == Dim::expert; });
    if (expert != extents.end() && of_experts)
      std::rotate(extents.begin(), expert, expert + 1);
    else if (expert != extents.end())
      std::rotate(expert, expert + 1, extents.end());
    return extents;
  }

  // An operand as the loops split its dimensions.
  Layout seen_layout(const Operand& operand, const Layout& split) const
  {
    DimAxes axes = split.dims;
    if (operand.as_keys)
      axes[static_cast<std::size_t>(Dim::sequence)] = axes[static_cast<std::size_t>(Dim::key_sequence)];
    return layout(block_.tensor(operand.tensor).shape, axes, mesh_);
  }

  // Einsums, lookups and scatter-adds, which have their loops but no FLOPs, and fused attention.
  void product(const Operation& operation)
  {
    const Loops extents = ordered_loops(operation);
    const Layout split  = layout(extents, rules_.compute, mesh_);
    for (const Operand& input : operation.inputs)
      made_.inputs.push_back(require(input.tensor, seen_layout(input, split)));
    for (const Operand& output : operation.outputs) {
      Layout result  = seen_layout(output, split);
      result.partial = split.axes() & ~result.axes();
      produce(output, result, operation.accumulates);
    }
    made_.operations.back().loops = extents;
    made_.operations.back().split = split;
  }

  // Where a pointwise operation finds an operand: weights are updated where the optimizer's state lies.
  Layout place_of(const Operation& operation, const Operand& operand) const
  {
    const Tensor& tensor = block_.tensor(operand.tensor);
    if (operation.pass == Pass::update && tensor.kind != TensorKind::activation)
      return layout(tensor, rules_.optimizer, mesh_);
    Layout lies  = stored(operand.tensor);
    lies.partial = 0;
    return lies;
  }

  void pointwise(const Operation& operation)
  {
    AxisMask all                  = 0;
    const std::size_t first_input = made_.inputs.size();
    for (const Operand& input : operation.inputs) {
      const Layout lies = place_of(operation, input);
      made_.inputs.push_back(require(input.tensor, lies));
      all |= lies.axes();
    }
    for (const Operand& output : operation.outputs)
      all |= place_of(operation, output).axes();
    for (const Operand& output : operation.outputs) {
      Layout result  = place_of(operation, output);
      result.partial = all & ~result.axes() & summed_axes(first_input, output);
      produce(output, result, operation.accumulates);
    }
  }

  // Axes that split a dimension of an input which the output has not: the output is a sum over it.
  AxisMask summed_axes(std::size_t first_input, const Operand& output) const
  {
    AxisMask axes = 0;
    for (std::size_t i = first_input; i < made_.inputs.size(); ++i) {
      const Version& input = version(made_.inputs[i]);
      for (const Extent& extent : block_.tensor(input.tensor).shape)
        if (const AxisMask split = input.layout.dims[static_cast<std::size_t>(extent.dim)];
            split != 0 && block_.tensor(output.tensor).size(extent.dim) == 1)
          axes |= split;
    }
    return axes;
  }

  const Block& block_;
  const Mesh& mesh_;
  const ShardingRules& rules_;
  AxisMask unreduced_;
  BlockLayouts made_;
  std::vector<std::vector<int>> current_; // versions of each tensor, the latest last
};

} // namespace

std::span<const int> BlockLayouts::inputs_of(std::size_t operation) const
{
  const std::size_t first = operations[operation].first_input;
  const std::size_t end   = operation + 1 < operations.size() ? operations[operation + 1].first_input : inputs.size();
  return std::span(inputs).subspan(first, end - first);
}

std::span<const OutputLayout> BlockLayouts::outputs_of(std::size_t operation) const
{
  const std::size_t first = operations[operation].first_output;
  const std::size_t end   = operation + 1 < operations.size() ? operations[operation + 1].first_output : outputs.size();
  return std::span(outputs).subspan(first, end - first);
}

std::span<const BlockCollective> BlockLayouts::collectives_before(std::size_t operation) const
{
  const std::size_t first = operations[operation].first_collective;
  const std::size_t end =
      operation + 1 < operations.size() ? operations[operation + 1].first_collective : collectives.size();
  return std::span(collectives).subspan(first, end - first);
}

BlockLayouts layouts(const Block& block, const Mesh& mesh, const ShardingRules& rules, AxisMask unreduced)
{
  return LayoutPass(block, mesh, rules, unreduced).take();
}

} // namespace podsim
