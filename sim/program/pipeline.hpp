#pragma once
// Pipeline schedules: in which order a stage runs the forward and backward passes of its micro-batches.
//
// A model's layers are cut into stages x chunks pieces; piece c x stages + s is chunk c of stage s (a virtual stage).
// With chunks = 1 (Huang et al. 2019, GPipe; Narayanan et al. 2019, 1F1B) each stage has one run of layers; interleaved
// (Narayanan et al. 2021, arXiv:2104.04473, section 2.2) it has several, and the bubble shrinks by their number:
//     bubble / ideal time = (stages - 1) / (micro_batches x chunks)

#include <cstdint>
#include <string>
#include <vector>

namespace podsim {

enum class PipelineSchedule : std::uint8_t { gpipe, one_forward_one_backward, interleaved };
const std::vector<std::pair<std::string, PipelineSchedule>>& pipeline_schedules(); // "gpipe", "1f1b", "interleaved"

struct Pipeline {
  PipelineSchedule schedule  = PipelineSchedule::one_forward_one_backward;
  std::int64_t stages        = 1;
  std::int64_t chunks        = 1; // of each stage
  std::int64_t micro_batches = 1;
  std::vector<std::int64_t> layers; // of each virtual stage; in a Program, iterations of its layer block
  friend bool operator==(const Pipeline&, const Pipeline&) = default;
};

struct ScheduledPass {
  bool backward;
  std::int32_t chunk, micro_batch;
  friend bool operator==(const ScheduledPass&, const ScheduledPass&) = default;
};

// Every chunk's forward and backward pass of every micro-batch, in the order in which the stage runs them.
std::vector<ScheduledPass> scheduled_passes(const Pipeline& pipeline, std::int64_t stage);

} // namespace podsim
