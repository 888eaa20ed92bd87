#include "sim/program/pipeline.hpp"

#include <algorithm>

namespace podsim {
namespace {

// The k-th forward pass of a stage: micro-batches go through in groups of as many as there are stages, each group
// through all chunks before the next one. Backward passes meet the chunks in reverse.
ScheduledPass nth(const Pipeline& p, std::int64_t k, bool backward)
{
  const std::int64_t group = p.stages * p.chunks;
  const std::int64_t chunk = p.chunks == 1 ? 0 : (k % group) / p.stages;
  const std::int64_t batch = p.chunks == 1 ? k : k / group * p.stages + k % p.stages;
  return {backward, static_cast<std::int32_t>(backward ? p.chunks - 1 - chunk : chunk),
          static_cast<std::int32_t>(batch)};
}

std::int64_t warm_up(const Pipeline& p, std::int64_t stage)
{
  const std::int64_t all = p.micro_batches * p.chunks;
  switch (p.schedule) {
  case PipelineSchedule::gpipe:
    return all;
  case PipelineSchedule::one_forward_one_backward:
    return std::min(p.stages - 1 - stage, all);
  case PipelineSchedule::interleaved:
    if (p.micro_batches == p.stages)
      return all;
    return std::min(2 * (p.stages - 1 - stage) + (p.chunks - 1) * p.stages, all);
  }
  return all;
}

} // namespace

const std::vector<std::pair<std::string, PipelineSchedule>>& pipeline_schedules()
{
  static const std::vector<std::pair<std::string, PipelineSchedule>> names{
      {"gpipe", PipelineSchedule::gpipe},
      {"1f1b", PipelineSchedule::one_forward_one_backward},
      {"interleaved", PipelineSchedule::interleaved}};
  return names;
}

std::vector<ScheduledPass> scheduled_passes(const Pipeline& pipeline, std::int64_t stage)
{
  const std::int64_t all   = pipeline.micro_batches * pipeline.chunks;
  const std::int64_t ahead = warm_up(pipeline, stage);
  std::vector<ScheduledPass> passes;
  passes.reserve(static_cast<std::size_t>(2 * all));
  for (std::int64_t k = 0; k < all + ahead; ++k) {
    if (k < all)
      passes.push_back(nth(pipeline, k, false));
    if (k >= ahead)
      passes.push_back(nth(pipeline, k - ahead, true));
  }
  return passes;
}

} // namespace podsim
