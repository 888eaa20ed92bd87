#pragma once
// The way through podsim, each stage's result a plain value:
// scenario file -> Scenario -> Program -> ShardedProgram -> Trace -> Metrics -> Evaluation.
//
// No process is forked, no signal handled, nothing global kept: it may be called from several threads at once, and as
// often as one likes.

#include "sim/evaluate/evaluation.hpp"
#include "sim/evaluate/faults.hpp"
#include "sim/evaluate/prepare.hpp"

namespace podsim {

struct EvaluationOptions {
  SimulationOptions simulation = {};    // without more, on the clock in this process
  bool times_remedies          = false; // of what lacks memory: say how long a step takes that would fit
  Announce announce            = {};
  PreparedBefore* before       = nullptr; // for whoever evaluates many that are alike, on one thread
};

// What there is to say of a scenario before anything is simulated, whether it can be among it.
Evaluation describe(const Prepared& prepared, PreparedBefore* before = nullptr);

// Simulates, measures, and completes the description; with faults, also the healthy machine and each fault alone. What
// cannot run (memory, time) is not simulated: its status says so. Throws what options.simulation.engine does, and
// std::logic_error for a mistake of podsim's.
Evaluation evaluate(const Scenario& scenario, const EvaluationOptions& options = {});
Evaluation evaluate(const Prepared& prepared, const EvaluationOptions& options = {});

} // namespace podsim
