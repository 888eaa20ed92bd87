#include "sim/metrics/memory.hpp"

#include <algorithm>

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
  for (const DeviceOperation& operation : block.operations)
    if (operation.asynchronous)
      (operation.needs.empty() ? sum.gathers : sum.reduced) += operation.collective.full;
  return sum;
}

// The most that other iterations have in flight while one of this block runs: what the next `ahead` gather, and what
// the one before reduces (a backlog of more than one iteration is not foreseen).
Roaming in_flight_beside(const std::vector<DeviceBlock>& blocks, std::size_t own, int ahead)
{
  std::vector<std::size_t> rows; // the block of each iteration
  for (std::size_t b = 0; b < blocks.size(); ++b)
    rows.insert(rows.end(), static_cast<std::size_t>(blocks[b].count), b);
  Roaming most;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (rows[row] != own)
      continue;
    Bytes gathers;
    for (std::size_t next = row + 1; next < rows.size() && next <= row + static_cast<std::size_t>(ahead); ++next)
      gathers += roaming(blocks[rows[next]]).gathers;
    most.gathers = std::max(most.gathers, gathers);
    if (row > 0)
      most.reduced = std::max(most.reduced, roaming(blocks[rows[row - 1]]).reduced);
  }
  return most;
}

} // namespace

Memory memory(const ShardedProgram& program)
{
  const DeviceProgram& device = program.programs.front();
  Memory resident;
  resident.parameters      = device.resident.parameters;
  resident.optimizer_state = device.resident.optimizer_state;
  resident.gradients       = device.resident.gradients;
  for (const DeviceBlock& block : device.blocks)
    resident.saved_activations += block.saved * static_cast<double>(block.count);

  Memory worst = resident;
  for (std::size_t b = 0; b < device.blocks.size(); ++b) {
    const DeviceBlock& block = device.blocks[b];
    const Roaming beside     = in_flight_beside(device.blocks, b, program.prefetch_iterations);
    for (int at = 0; at < static_cast<int>(block.operations.size()); ++at) {
      Memory now = resident;
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
  }
  return worst;
}

} // namespace podsim
