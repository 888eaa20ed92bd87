#include "sim/metrics/memory.hpp"

#include <algorithm>

namespace podsim {

Bytes Memory::total() const
{
  return parameters + optimizer_state + gradients + saved_activations + gathered_weights + layer_gradients + workspace;
}

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
  for (const DeviceBlock& block : device.blocks)
    for (int at = 0; at < static_cast<int>(block.operations.size()); ++at) {
      Memory now = resident;
      for (const Buffer& buffer : block.buffers)
        if (buffer.first <= at && at <= buffer.last) {
          Bytes& kind = buffer.kind == Buffer::Kind::workspace          ? now.workspace
                        : buffer.kind == Buffer::Kind::gathered_weights ? now.gathered_weights
                                                                        : now.layer_gradients;
          kind += buffer.size;
        }
      now.gathered_weights = now.gathered_weights * (1.0 + program.prefetch_iterations);
      if (now.total() > worst.total())
        worst = now;
    }
  return worst;
}

} // namespace podsim
