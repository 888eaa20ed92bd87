#include "sim/metrics/memory.hpp"

#include <algorithm>
#include <map>

namespace podsim {

Bytes Memory::total() const
{
  return parameters + optimizer_state + gradients + saved_activations + gathered_weights + layer_gradients + workspace;
}

namespace {

// What a block puts in flight beyond its own iteration.
struct Roaming {
  Bytes gathers; // weights that may be gathered while earlier iterations run
  Bytes reduced; // gradients that are still being reduced while the next iteration runs
};

Roaming roaming(const DeviceBlock& block)
{
  Roaming sum;
  for (std::size_t i = 0; i < block.operations.size(); ++i) {
    const DeviceOperation& operation = block.operations[i];
    const bool read_here =
        std::any_of(block.operations.begin(), block.operations.end(), [&](const DeviceOperation& op) {
          return std::find(op.needs.begin(), op.needs.end(), static_cast<int>(i)) != op.needs.end();
        });
    if (operation.asynchronous && operation.needs.empty())
      sum.gathers += operation.collective.full;
    else if (operation.asynchronous && !read_here) // what is read in the block has ended with it
      sum.reduced += operation.collective.full;
  }
  return sum;
}

// The most that other iterations have in flight while one of each block runs: what the next `ahead` gather, and what
// the one before reduces (a backlog of more than one iteration is not foreseen).
std::vector<Roaming> in_flight_beside(const DeviceProgram& device, const Stage& stage, int ahead)
{
  std::vector<Roaming> own;
  for (const DeviceBlock& block : device.blocks)
    own.push_back(roaming(block));
  std::vector<Roaming> most(device.blocks.size());
  std::vector<std::size_t> rows; // the block of each iteration
  for (const Step& step : stage.steps)
    rows.insert(rows.end(), static_cast<std::size_t>(step.count), static_cast<std::size_t>(step.block));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    Bytes gathers;
    for (std::size_t next = row + 1; next < rows.size() && next <= row + static_cast<std::size_t>(ahead); ++next)
      gathers += own[rows[next]].gathers;
    Roaming& beside = most[rows[row]];
    beside.gathers  = std::max(beside.gathers, gathers);
    if (row > 0)
      beside.reduced = std::max(beside.reduced, own[rows[row - 1]].reduced);
  }
  return most;
}

// What is alive while a block runs, at its worst moment.
Memory worst_moment(const DeviceBlock& block, const Roaming& beside)
{
  Memory worst;
  for (int at = 0; at < static_cast<int>(block.operations.size()); ++at) {
    Memory now;
    for (const Buffer& buffer : block.buffers)
      if (buffer.first <= at && at <= buffer.last) {
        Bytes& kind = buffer.kind == Buffer::Kind::workspace          ? now.workspace
                      : buffer.kind == Buffer::Kind::gathered_weights ? now.gathered_weights
                                                                      : now.layer_gradients;
        kind += buffer.size;
      }
    now.gathered_weights += beside.gathers;
    now.layer_gradients += beside.reduced;
    if (now.total() > worst.total())
      worst = now;
  }
  return worst;
}

Memory memory_of(const DeviceProgram& device, const Stage& stage, int ahead)
{
  const std::vector<Roaming> beside = in_flight_beside(device, stage, ahead);
  std::vector<Memory> moments;
  for (std::size_t b = 0; b < device.blocks.size(); ++b)
    moments.push_back(worst_moment(device.blocks[b], beside[b]));

  // A micro-batch's forward pass saves for its backward pass, which frees it all at its end.
  Bytes saved;
  std::map<std::pair<std::int32_t, std::int32_t>, Bytes> by_pass;
  Memory worst;
  for (const Step& step : stage.steps) {
    const DeviceBlock& block = device.blocks[static_cast<std::size_t>(step.block)];
    Bytes& own               = by_pass[{step.chunk, step.micro_batch}];
    own += block.saved * static_cast<double>(step.count);
    saved += block.saved * static_cast<double>(step.count);
    Memory now            = moments[static_cast<std::size_t>(step.block)];
    now.saved_activations = saved;
    if (now.total() > worst.total())
      worst = now;
    if (block.role == BlockRole::layers_backward && !block.operations.empty() &&
        block.operations.front().kind != DeviceOperation::Kind::receive &&
        block.operations.front().kind != DeviceOperation::Kind::send) {
      saved = saved - own;
      own   = Bytes(0);
    }
  }
  worst.parameters      = device.resident.parameters;
  worst.optimizer_state = device.resident.optimizer_state;
  worst.gradients       = device.resident.gradients;
  return worst;
}

} // namespace

Memory memory(const ShardedProgram& program)
{
  Memory worst;
  for (const Stage& stage : program.stages)
    if (const Memory own = memory_of(program.programs[stage.program], stage, program.prefetch_iterations);
        own.total() > worst.total())
      worst = own;
  return worst;
}

} // namespace podsim
