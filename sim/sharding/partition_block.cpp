#include "sim/sharding/partition_block.hpp"

#include "sim/sharding/combine.hpp"
#include "sim/sharding/layouts.hpp"
#include "sim/sharding/liveness.hpp"
#include "sim/sharding/local_work.hpp"
#include "sim/sharding/overlap.hpp"

namespace podsim {
namespace {

// Puts what the passes have found into a device's operations, which wait for those that make what they read.
class DeviceOperations {
public:
  DeviceOperations(const Block& block, const BlockLayouts& lies, const BlockWork& work)
      : block_(block), lies_(lies), work_(work), makers_(lies.versions.size())
  {
    standing_.operations.resize(lies.operations.size());
    standing_.sums.resize(lies.operations.size());
    standing_.collectives.resize(lies.collectives.size());
  }

  void add(const std::vector<Placed>& order)
  {
    operations_.reserve(2 * order.size());
    for (const Placed& one : order)
      if (one.kind == Placed::Kind::collective)
        add_collective(one);
      else if (one.kind == Placed::Kind::operation)
        add_operation(one);
      else
        standing_.operations[static_cast<std::size_t>(one.index)] = static_cast<int>(operations_.size());
  }

  std::vector<DeviceOperation> take() { return std::move(operations_); }
  const Standing& standing() const { return standing_; }

private:
  struct Makers {
    int first = -1;
    std::vector<int> more; // that add to the same sum
  };

  const Makers& makers(int version) const { return makers_[static_cast<std::size_t>(lies_.version(version).holder)]; }

  static void wait_for(const Makers& makers, std::vector<int>& needs)
  {
    if (makers.first >= 0)
      needs.push_back(makers.first);
    needs.insert(needs.end(), makers.more.begin(), makers.more.end());
  }

  void made(int version, int operation)
  {
    Makers& known = makers_[static_cast<std::size_t>(version)];
    if (known.first < 0)
      known.first = operation;
    else
      known.more.push_back(operation);
  }

  int add(DeviceOperation operation)
  {
    const int index = static_cast<int>(operations_.size());
    if (!operation.asynchronous)
      stream_ = index;
    operations_.push_back(std::move(operation));
    return index;
  }

  int add_copies(const char* what, const Tensor& tensor, Bytes copied, Pass pass, std::vector<int> after)
  {
    DeviceOperation copy{.name = std::string("copies for the ") + what + tensor.name,
                         .kind = DeviceOperation::Kind::compute,
                         .pass = pass};
    copy.work.hbm = copied;
    copy.needs    = std::move(after);
    return add(std::move(copy));
  }

  void add_collective(const Placed& placed)
  {
    const auto index           = static_cast<std::size_t>(placed.index);
    const BlockCollective& one = lies_.collectives[index];
    const CollectiveWork& work = work_.collectives[index];
    const Tensor& tensor       = block_.tensor(one.tensor);
    DeviceOperation operation{.name = name(one.kind), .kind = DeviceOperation::Kind::collective, .pass = placed.pass};
    (operation.name += ' ') += tensor.name;
    operation.collective   = {one.kind, one.axes, work.full};
    operation.asynchronous = placed.asynchronous;
    wait_for(makers(one.from), operation.needs);
    if (work.copied_before > Bytes(0))
      operation.needs = {
          add_copies("reduction of ", tensor, work.copied_before, placed.pass, std::move(operation.needs))};
    if (placed.after_stream)
      operation.needs.push_back(stream_);
    const int added              = add(std::move(operation));
    standing_.collectives[index] = added;
    made(one.to, work.copied_after > Bytes(0)
                     ? add_copies("gather of ", tensor, work.copied_after, placed.pass, {added})
                     : added);
  }

  void add_operation(const Placed& placed)
  {
    const auto index          = static_cast<std::size_t>(placed.index);
    const Operation& one      = block_.operations[index];
    const OperationWork& work = work_.operations[index];
    DeviceOperation operation{
        .name = one.name, .kind = DeviceOperation::Kind::compute, .pass = one.pass, .work = work.own};
    operation.needs.reserve(one.inputs.size());
    for (const int input : lies_.inputs_of(index))
      wait_for(makers(input), operation.needs);
    int added                   = add(std::move(operation));
    standing_.operations[index] = added;
    if (work.sum)
      added = add({.name  = "accumulate " + block_.tensor(one.outputs[0].tensor).name,
                   .kind  = DeviceOperation::Kind::compute,
                   .pass  = Pass::backward,
                   .work  = *work.sum,
                   .needs = {added}});
    standing_.sums[index] = added;
    for (const OutputLayout& output : lies_.outputs_of(index))
      made(output.version, added);
  }

  const Block& block_;
  const BlockLayouts& lies_;
  const BlockWork& work_;
  std::vector<Makers> makers_; // of each version
  std::vector<DeviceOperation> operations_;
  Standing standing_;
  int stream_ = -1; // the last operation that is not asynchronous
};

// Collectives that the compiler may combine.
std::set<int> of_weights(const Block& block, const BlockLayouts& lies, const Standing& standing)
{
  std::set<int> all;
  for (std::size_t i = 0; i < lies.collectives.size(); ++i)
    if (const TensorKind kind = block.tensor(lies.collectives[i].tensor).kind;
        kind == TensorKind::weight || kind == TensorKind::weight_gradient)
      all.insert(standing.collectives[i]);
  return all;
}

} // namespace

DeviceBlock partition_block(const Block& block, const Mesh& mesh, const ShardingRules& rules,
                            const Compilation& compilation, AxisMask unreduced)
{
  const BlockLayouts lies         = layouts(block, mesh, rules, unreduced);
  const BlockWork work            = local_work(block, lies, mesh, compilation.gradients, compilation.copies);
  const std::vector<Placed> order = overlap(block, lies, compilation.overlap, compilation.copies);
  DeviceOperations device(block, lies, work);
  device.add(order);
  const Standing standing = device.standing();

  DeviceBlock made{.name       = block.name,
                   .count      = block.count,
                   .operations = device.take(),
                   .buffers = liveness(block, lies, order, standing, mesh, rules, compilation.gradients.accumulation),
                   .saved   = saved(block, lies)};
  if (compilation.combines)
    combine(made, of_weights(block, lies, standing));
  return made;
}

} // namespace podsim
