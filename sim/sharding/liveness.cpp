#include "sim/sharding/liveness.hpp"

namespace podsim {
namespace {

class LivenessPass {
public:
  LivenessPass(const Block& block, const BlockLayouts& lies, const Mesh& mesh, const ShardingRules& rules,
               Accumulation accumulation)
      : block_(block), lies_(lies), mesh_(mesh), rules_(rules), accumulation_(accumulation),
        buffer_of_(lies.versions.size(), -1)
  {
    buffers_.reserve(lies.versions.size() - block.tensors.size());
  }

  std::vector<Buffer> take(const std::vector<Placed>& order, const Standing& standing)
  {
    for (const Placed& one : order) {
      const auto index = static_cast<std::size_t>(one.index);
      if (one.kind == Placed::Kind::collective) {
        const BlockCollective& collective = lies_.collectives[index];
        read(collective.from, standing.collectives[index]);
        make(collective.to, one.pass, standing.collectives[index]);
        continue;
      }
      for (const int input : lies_.inputs_of(index))
        read(input, standing.operations[index]);
      for (const OutputLayout& output : lies_.outputs_of(index))
        if (buffer_of_[static_cast<std::size_t>(output.version)] < 0) // else it adds to what is there
          make(output.version, one.pass, standing.sums[index]);
    }
    return std::move(buffers_);
  }

private:
  void read(int version, int reader)
  {
    const int buffer = buffer_of_[static_cast<std::size_t>(lies_.version(version).holder)];
    if (buffer >= 0)
      buffers_[static_cast<std::size_t>(buffer)].last = reader;
  }

  // The update writes weights and state in their places. A gradient that lies as the device keeps it is summed up and
  // reduced in the buffer that it keeps: by the product that adds to it, and by what reduces all of them at the end.
  bool lies_elsewhere(const Tensor& tensor, const Layout& lies, Pass pass) const
  {
    if (pass == Pass::update && (tensor.kind == TensorKind::weight || tensor.kind == TensorKind::optimizer_state))
      return true;
    return tensor.kind == TensorKind::weight_gradient &&
           (pass == Pass::update || accumulation_ == Accumulation::fused) &&
           lies.dims == layout(tensor.shape, rules_.gradients, mesh_).dims;
  }

  void make(int id, Pass pass, int maker)
  {
    const Version& version = lies_.version(id);
    const Tensor& tensor   = block_.tensor(version.tensor);
    if (lies_elsewhere(tensor, version.layout, pass))
      return;
    const Buffer::Kind kind                  = tensor.kind == TensorKind::weight ? Buffer::Kind::gathered_weights
                                               : tensor.kind == TensorKind::weight_gradient ? Buffer::Kind::gradients
                                                                                            : Buffer::Kind::workspace;
    buffer_of_[static_cast<std::size_t>(id)] = static_cast<int>(buffers_.size());
    const Bytes size(version.elements * bytes_per_element(tensor.dtype));
    buffers_.push_back({tensor.name, kind, size, maker, maker});
  }

  const Block& block_;
  const BlockLayouts& lies_;
  const Mesh& mesh_;
  const ShardingRules& rules_;
  Accumulation accumulation_;
  std::vector<int> buffer_of_; // of each version, -1 for what lies elsewhere
  std::vector<Buffer> buffers_;
};

} // namespace

std::vector<Buffer> liveness(const Block& block, const BlockLayouts& lies, const std::vector<Placed>& order,
                             const Standing& standing, const Mesh& mesh, const ShardingRules& rules,
                             Accumulation accumulation)
{
  return LivenessPass(block, lies, mesh, rules, accumulation).take(order, standing);
}

Bytes saved(const Block& block, const BlockLayouts& lies)
{
  Bytes all;
  const auto add = [&](const std::vector<TensorId>& tensors, double share) {
    for (const TensorId id : tensors) // as it is stored
      all += Bytes(lies.version(id).elements * bytes_per_element(block.tensor(id).dtype)) * share;
  };
  add(block.saved, 1);
  add(block.saved_by_some, block.some);
  add(block.saved_by_rest, -block.some);
  return all;
}

} // namespace podsim
