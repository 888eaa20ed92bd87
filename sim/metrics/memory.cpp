#include "sim/metrics/memory.hpp"

#include <algorithm>

namespace podsim {

Memory Memory::times(double devices) const
{
  return {parameters * devices,       optimizer_state * devices, gradients * devices, saved_activations * devices,
          gathered_weights * devices, layer_gradients * devices, workspace * devices};
}

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

// Whether a reduction works on gradients that are counted among those which the device keeps: then they have no buffer.
bool in_place(const DeviceBlock& block, int reduction)
{
  return std::none_of(block.buffers.begin(), block.buffers.end(), [&](const Buffer& buffer) {
    return buffer.kind == Buffer::Kind::gradients && buffer.first < reduction && buffer.last >= reduction;
  });
}

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
    else if (operation.asynchronous && !read_here && !in_place(block, static_cast<int>(i)))
      sum.reduced += operation.collective.full; // what is read in the block has ended with it
  }
  return sum;
}

// The most that other iterations have in flight while one of each block runs: what the next `ahead` gather, and what
// the one before reduces (a backlog of more than one iteration is not foreseen).
std::vector<Roaming> in_flight_beside(const std::vector<Roaming>& own, const Stage& stage, int ahead)
{
  std::vector<Roaming> most(own.size());
  if (std::none_of(own.begin(), own.end(),
                   [](const Roaming& one) { return one.gathers > Bytes(0) || one.reduced > Bytes(0); }))
    return most;
  std::size_t iterations = 0;
  for (const Step& step : stage.steps)
    iterations += static_cast<std::size_t>(step.count);
  std::vector<std::size_t> rows; // the block of each iteration
  rows.reserve(iterations);
  for (const Step& step : stage.steps)
    rows.insert(rows.end(), static_cast<std::size_t>(step.count), static_cast<std::size_t>(step.block));
  std::vector<Bytes> until(rows.size() + 1); // what all rows before one gather
  for (std::size_t row = 0; row < rows.size(); ++row)
    until[row + 1] = until[row] + own[rows[row]].gathers;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::size_t end = std::min(rows.size(), row + 1 + static_cast<std::size_t>(ahead));
    Roaming& beside       = most[rows[row]];
    beside.gathers        = std::max(beside.gathers, until[end] - until[row + 1]);
    if (row > 0)
      beside.reduced = std::max(beside.reduced, own[rows[row - 1]].reduced);
  }
  return most;
}

// What of a block is alive at its worst moment.
Memory worst_moment(const DeviceBlock& block)
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
    if (now.total() > worst.total())
      worst = now;
  }
  return worst;
}

// Of the blocks of a program, whatever stage runs them.
struct BlockMemory {
  explicit BlockMemory(const DeviceProgram& device)
  {
    for (const DeviceBlock& block : device.blocks) {
      roams.push_back(roaming(block));
      worst.push_back(worst_moment(block));
    }
  }

  std::vector<Roaming> roams;
  std::vector<Memory> worst;
};

Memory memory_of(const DeviceProgram& device, const BlockMemory& blocks, const Stage& stage, int chunks, int ahead)
{
  const std::vector<Roaming> beside = in_flight_beside(blocks.roams, stage, ahead);
  std::vector<Memory> moments       = blocks.worst;
  for (std::size_t b = 0; b < device.blocks.size(); ++b)
    if (!device.blocks[b].operations.empty()) {
      moments[b].gathered_weights += beside[b].gathers;
      moments[b].layer_gradients += beside[b].reduced;
    }

  // A micro-batch's forward pass saves for its backward pass, which frees it all at its end.
  Bytes saved;
  std::int32_t micro_batches = 0;
  for (const Step& step : stage.steps)
    micro_batches = std::max(micro_batches, step.micro_batch + 1);
  std::vector<Bytes> by_pass(static_cast<std::size_t>(micro_batches) * static_cast<std::size_t>(chunks));
  Memory worst;
  std::vector<Bytes> most_saved(device.blocks.size(), Bytes(-1)); // beside each block so far
  for (const Step& step : stage.steps) {
    const DeviceBlock& block = device.blocks[static_cast<std::size_t>(step.block)];
    Bytes& own               = by_pass[static_cast<std::size_t>(step.micro_batch) * static_cast<std::size_t>(chunks) +
                         static_cast<std::size_t>(step.chunk)];
    own += block.saved * static_cast<double>(step.count);
    saved += block.saved * static_cast<double>(step.count);
    if (Bytes& most = most_saved[static_cast<std::size_t>(step.block)]; saved > most) {
      most                  = saved;
      Memory now            = moments[static_cast<std::size_t>(step.block)];
      now.saved_activations = saved;
      if (now.total() > worst.total())
        worst = now;
    }
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
  const std::vector<BlockMemory> blocks(program.programs.begin(), program.programs.end());
  Memory worst;
  for (const Stage& stage : program.stages)
    if (const Memory own = memory_of(program.programs[stage.program], blocks[stage.program], stage, program.chunks,
                                     program.prefetch_iterations);
        own.total() > worst.total())
      worst = own;
  return worst;
}

} // namespace podsim
