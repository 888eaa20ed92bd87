#include "sim/evaluate/evaluation.hpp"

namespace podsim {

void Evaluation::refuse(Refusal why)
{
  status = why.status;
  reason = std::move(why.complaint);
}

const std::vector<std::pair<std::string, Granularity>>& granularity_names()
{
  static const std::vector<std::pair<std::string, Granularity>> names{
      {"auto", Granularity::automatic}, {"collective", Granularity::collective}, {"chunk", Granularity::chunk}};
  return names;
}

std::vector<MemoryRow> memory_rows(const Memory& memory)
{
  return {{"parameters", "parameters", memory.parameters},
          {"optimizer_state", "optimizer state", memory.optimizer_state},
          {"gradients", "gradients", memory.gradients},
          {"saved_activations", "saved activations", memory.saved_activations},
          {"gathered_weights", "gathered weights", memory.gathered_weights},
          {"layer_gradients", "unscattered gradients", memory.layer_gradients},
          {"workspace", "workspace", memory.workspace}};
}

} // namespace podsim
