#include "sim/sharding/partition.hpp"

#include "sim/sharding/partition_block.hpp"

#include <algorithm>
#include <map>

namespace podsim {
namespace {

// `sums`: the dtype in which gradients are kept.
ResidentBytes resident(const Block& update, const Mesh& mesh, const ShardingRules& rules, std::optional<Dtype> sums)
{
  ResidentBytes bytes;
  for (const Tensor& tensor : update.tensors) {
    const Layout lies = layout(tensor, table(rules, tensor.kind), mesh);
    const bool is_sum = tensor.kind == TensorKind::weight_gradient && sums;
    const Dtype dtype = is_sum ? *sums : tensor.dtype;
    const Bytes local(local_elements(tensor, lies, mesh) * bytes_per_element(dtype));
    if (tensor.kind == TensorKind::weight)
      bytes.parameters += local;
    else if (tensor.kind == TensorKind::weight_gradient)
      bytes.gradients += local;
    else if (tensor.kind == TensorKind::optimizer_state)
      bytes.optimizer_state += local;
  }
  return bytes;
}

// The device program of a kind of stage, and where in it a schedule finds what it runs.
class StagePartitioner {
public:
  StagePartitioner(const StageProgram& stage, const Mesh& mesh, const ShardingRules& rules,
                   const Compilation& compilation, const Pipeline& pipeline)
      : mesh_(mesh), rules_(rules), compilation_(compilation), pipeline_(pipeline)
  {
    const Gradients& gradients = compilation.gradients;
    AxisMask until_last        = gradients.after_backward;
    if (gradients.last_micro_batch_only && pipeline.micro_batches > 1)
      until_last = ~AxisMask{0};
    for (const Block& block : stage.blocks) {
      const bool backward = block.role == BlockRole::layers_backward || block.role == BlockRole::embedding_backward ||
                            block.role == BlockRole::loss;
      reducing_[block.role] = add(block, gradients.after_backward);
      plain_[block.role] =
          backward && until_last != gradients.after_backward ? add(block, until_last) : reducing_[block.role];
    }
    const bool summed = gradients.accumulation != Accumulation::none;
    device_.resident =
        resident(stage.blocks.back(), mesh, rules, summed ? std::optional(gradients.accumulator) : std::nullopt);
    if (pipeline.stages > 1)
      add_transfers(stage);
    if (gradients.last_micro_batch_only && pipeline.micro_batches > 1)
      device_.resident.gradients = device_.resident.gradients * growth_until_reduced(stage);
  }

  DeviceProgram take_program() { return std::move(device_); }

  std::vector<Step> steps(std::int64_t stage) const
  {
    const std::vector<ScheduledPass> passes = scheduled_passes(pipeline_, stage);
    std::vector<Step> all;
    all.reserve(3 * passes.size() + 1);
    for (const ScheduledPass& pass : passes) {
      const std::int64_t piece = pass.chunk * pipeline_.stages + stage;
      const bool first         = piece == 0;
      const bool last          = piece == pipeline_.stages * pipeline_.chunks - 1;
      const auto layers        = static_cast<std::int32_t>(pipeline_.layers[static_cast<std::size_t>(piece)]);
      const bool sums          = pass.micro_batch < pipeline_.micro_batches - 1;
      const auto run           = [&](std::int32_t block, std::int32_t count) {
        if (count > 0)
          all.push_back({block, count, pass.chunk, pass.micro_batch});
      };
      const auto block = [&](BlockRole role) { return (sums ? plain_ : reducing_).at(role); };
      if (!pass.backward) {
        run(first ? block(BlockRole::embedding) : receive_, 1);
        run(block(BlockRole::layers), layers);
        run(last ? block(BlockRole::loss) : send_, 1);
      } else {
        if (!last)
          run(receive_gradient_, 1);
        run(block(BlockRole::layers_backward), layers);
        run(first ? block(BlockRole::embedding_backward) : send_gradient_, 1);
      }
    }
    all.push_back({reducing_.at(BlockRole::update), 1, 0, static_cast<std::int32_t>(pipeline_.micro_batches) - 1});
    return all;
  }

private:
  std::int32_t add(const Block& block, AxisMask unreduced)
  {
    device_.blocks.push_back(partition_block(block, mesh_, rules_, compilation_, unreduced));
    device_.blocks.back().waits_for_asynchronous = block.role == BlockRole::update;
    device_.blocks.back().role                   = block.role;
    return static_cast<std::int32_t>(device_.blocks.size()) - 1;
  }

  // Until they are reduced, gradients are summands over the mesh axes of the tokens, and whole over those even where
  // storage splits them: how much larger that makes them. An axis that splits tokens and experts splits the experts
  // where there are some: each of its devices has the tokens of its own experts, and no summand of the others'
  // gradient.
  double growth_until_reduced(const StageProgram& stage) const
  {
    AxisMask summed = 0;
    for (const Dim dim : {Dim::batch, Dim::sequence})
      summed |= rules_.compute[static_cast<std::size_t>(dim)];
    double reduced = 0;
    double sums    = 0;
    for (const Tensor& tensor : stage.blocks.back().tensors) {
      if (tensor.kind != TensorKind::weight_gradient)
        continue;
      Layout lies = layout(tensor, rules_.gradients, mesh_);
      reduced += local_elements(tensor, lies, mesh_) * bytes_per_element(tensor.dtype);
      AxisMask own = summed;
      if (of_experts(stage, tensor.name))
        own &= ~layout(tensor.shape, rules_.compute, mesh_).dims[static_cast<std::size_t>(Dim::expert)];
      for (AxisMask& axes : lies.dims)
        axes &= ~own;
      sums += local_elements(tensor, lies, mesh_) * bytes_per_element(tensor.dtype);
    }
    return reduced > 0 ? sums / reduced : 1;
  }

  // Whether a gradient is made of tensors that all lie by experts: that of their own weights, and not of the router's.
  static bool of_experts(const StageProgram& stage, const std::string& gradient)
  {
    for (const Block& block : stage.blocks)
      for (const Operation& operation : block.operations)
        if (operation.pass == Pass::backward && block.tensor(operation.outputs.at(0).tensor).name == gradient)
          return std::all_of(operation.inputs.begin(), operation.inputs.end(),
                             [&](const Operand& input) { return block.tensor(input.tensor).size(Dim::expert) > 1; });
    return false;
  }

  void add_transfers(const StageProgram& stage)
  {
    const auto is_layers = [](const Block& block) { return block.role == BlockRole::layers; };
    const Block& layers  = *std::find_if(stage.blocks.begin(), stage.blocks.end(), is_layers);
    const Tensor& output = layers.tensor(layers.outputs.at(0));
    const Layout lies    = layout(output, rules_.activations, mesh_);
    const Bytes whole(local_elements(output, lies, mesh_) * bytes_per_element(output.dtype));
    AxisMask all_copies        = 0; // axes over which all devices hold the same, and split the layer's products
    const Transfers& transfers = compilation_.transfers;
    if (transfers.scattered || transfers.scattered_gradients)
      for (const Dim dim : {Dim::mlp, Dim::heads})
        all_copies |= rules_.compute[static_cast<std::size_t>(dim)] & ~lies.axes();
    const auto add_one = [&](const char* name, DeviceOperation::Kind kind, int towards) {
      DeviceBlock block{.name = name, .count = 1, .operations = {}, .buffers = {}, .saved = {}};
      const Pass pass = towards > 0 ? Pass::forward : Pass::backward;
      const AxisMask copies =
          (towards > 0 ? transfers.scattered : transfers.scattered_gradients) ? all_copies : AxisMask{0};
      block.role = towards > 0 ? BlockRole::layers : BlockRole::layers_backward;
      DeviceOperation move{.name = name, .kind = kind, .pass = pass};
      move.transfer = whole / static_cast<double>(mesh_.size(copies));
      move.towards  = towards;
      block.operations.push_back(std::move(move));
      if (kind == DeviceOperation::Kind::receive && mesh_.size(copies) > 1)
        block.operations.push_back({.name       = std::string("all-gather after ") + name,
                                    .kind       = DeviceOperation::Kind::collective,
                                    .pass       = pass,
                                    .collective = {CollectiveKind::all_gather, copies, whole},
                                    .needs      = {0}});
      device_.blocks.push_back(std::move(block));
      return static_cast<std::int32_t>(device_.blocks.size()) - 1;
    };
    receive_          = add_one("receive activations", DeviceOperation::Kind::receive, 1);
    send_             = add_one("send activations", DeviceOperation::Kind::send, 1);
    receive_gradient_ = add_one("receive gradients", DeviceOperation::Kind::receive, -1);
    send_gradient_    = add_one("send gradients", DeviceOperation::Kind::send, -1);
  }

  const Mesh& mesh_;
  const ShardingRules& rules_;
  const Compilation& compilation_;
  const Pipeline& pipeline_;
  DeviceProgram device_;
  std::map<BlockRole, std::int32_t> reducing_, plain_; // plain: gradients stay summands until the last micro-batch
  std::int32_t receive_ = -1, send_ = -1, receive_gradient_ = -1, send_gradient_ = -1;
};

} // namespace

ShardedProgram partition(const Program& program, const Mesh& mesh, const ShardingRules& rules,
                         const Compilation& compilation)
{
  ShardedProgram sharded;
  sharded.mesh                = mesh;
  sharded.chunks              = static_cast<int>(program.pipeline.chunks);
  sharded.blocking_transfers  = compilation.transfers.blocking;
  sharded.blocking_receives   = compilation.transfers.blocking_receives;
  sharded.prefetch_iterations = compilation.overlap.prefetch_layers;
  std::vector<StagePartitioner> kinds;
  kinds.reserve(program.programs.size());
  for (const StageProgram& stage : program.programs) {
    kinds.emplace_back(stage, mesh, rules, compilation, program.pipeline);
    sharded.programs.push_back(kinds.back().take_program());
  }
  for (std::size_t stage = 0; stage < program.program_of.size(); ++stage) {
    const std::size_t kind = program.program_of[stage];
    sharded.stages.push_back({kind, kinds[kind].steps(static_cast<std::int64_t>(stage))});
  }
  for (std::size_t axis = 0; axis < mesh.axes.size(); ++axis)
    if (mesh.axes[axis].name == pipeline_axis_name && program.pipeline.stages > 1)
      sharded.pipeline = axis;
  return sharded;
}

} // namespace podsim
