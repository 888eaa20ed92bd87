#include "sim/workloads/training.hpp"

#include "sim/sharding/partition.hpp"

#include <utility>

namespace podsim {

Programs programs_of(const Training& training, const Mesh& mesh, const Precision& precision,
                     const Compilation& compilation)
{
  const TrainingStep& step = training.step;
  const double tokens      = static_cast<double>(step.batch) * static_cast<double>(step.sequence);
  Program program          = training_step(
               forward_pass(training.model, step.batch / training.pipeline.micro_batches, step.sequence, precision), step.remat,
               step.optimizer, precision, training.pipeline, tokens);
  ShardedProgram sharded = partition(program, mesh, training.sharding, compilation);
  return {std::move(program), std::move(sharded)};
}

} // namespace podsim
