#pragma once
// A training step: a model, what of it a step takes in, and how it is cut for a mesh.

#include "models/transformer.hpp"
#include "sim/program/pipeline.hpp"
#include "sim/program/training_step.hpp"
#include "sim/sharding/compilation.hpp"
#include "sim/sharding/sharding.hpp"
#include "sim/workloads/programs.hpp"

#include <cstdint>
#include <string>

namespace podsim {

struct TrainingStep {
  std::int64_t batch       = 0; // sequences, over all pods
  std::int64_t sequence    = 0;
  std::int64_t micro_batch = 0; // sequences of a micro-batch on each replica; 0: all of them
  std::string remat_name;
  Remat remat;
  Optimizer optimizer;
  bool dropout                                                     = false;
  friend bool operator==(const TrainingStep&, const TrainingStep&) = default;
};

struct Training {
  TransformerConfig model;
  TrainingStep step;
  Pipeline pipeline; // of one stage where there is none
  ShardingRules sharding;
  friend bool operator==(const Training&, const Training&) = default;
};

Programs programs_of(const Training& training, const Mesh& mesh, const Precision& precision,
                     const Compilation& compilation);

} // namespace podsim
