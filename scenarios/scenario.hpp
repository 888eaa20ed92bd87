#pragma once
// A scenario: a model, a machine, and a way of training the one on the other, read and checked as a whole; or a
// micro-benchmark of the machine.

#include "models/transformer.hpp"
#include "scenarios/faults.hpp"
#include "scenarios/placement.hpp"
#include "scenarios/resolve.hpp"
#include "scenarios/software.hpp"
#include "sim/core/published.hpp"
#include "sim/sharding/partition.hpp"
#include "topologies/machine.hpp"

#include <optional>
#include <string>
#include <vector>

namespace podsim {

struct Workload {
  std::int64_t batch       = 0; // sequences a step, over all pods
  std::int64_t sequence    = 0;
  std::int64_t micro_batch = 0; // sequences of a micro-batch on each replica; 0: all of them
  std::string remat_name;
  Remat remat;
  Optimizer optimizer;
  bool dropout                                             = false;
  friend bool operator==(const Workload&, const Workload&) = default;
};

// One operation by itself instead of a training step.
struct MicroBenchmark {
  DeviceOperation operation;
  std::string description; // one line
};

struct Scenario {
  std::string name;
  std::string hash;
  TransformerConfig model;
  Machine machine;
  Workload workload;
  Pipeline pipeline; // of one stage where there is none
  Mesh mesh;
  Placement placement; // of each mesh axis
  ShardingRules sharding;
  Software software;
  std::optional<MicroBenchmark> micro_benchmark; // then there is no model, workload, sharding or software
  std::vector<PublishedFigure> published;
  std::vector<Fault> faults; // whose effects together are the machine's overrides

  std::vector<UsedConstant> constants;
  std::vector<std::string> files;
};

// Throws InputError for what is wrong, all of it at once, and CannotRun for a sound mesh that does not fit the slice.
// The document is taken only when nothing is wrong with it.
Scenario read_scenario(Document&& document);

// The same for a document that is kept to be read again; once it has failed, it cannot be. `before`: what it came to,
// if it was read before and only the values at `changed` are others since: parts without one of them are taken from
// there.
Scenario read_scenario(Document& document, const Scenario* before, std::vector<std::string> changed);

// Only what a report on a scenario that cannot run must say: its name ("" where that is wrong) and hash.
struct ScenarioIdentity {
  std::string name, hash;
};
ScenarioIdentity identify(const Document& document);

} // namespace podsim
