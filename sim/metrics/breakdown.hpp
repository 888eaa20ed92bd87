#pragma once
// Where the time of each class of devices went.

#include "sim/engine/tally.hpp"
#include "sim/metrics/links.hpp"

#include <string>
#include <utility>
#include <vector>

namespace podsim {

// Where the time of one device went, by name: matrix_unit, hbm, vector_unit, overhead (dispatch and pipeline
// fill), exposed_<link>_<mesh axis> (link: ici, dcn, nvlink, core), optimizer, idle (waiting for others: of a pipeline
// stage, its bubble), slower_pods (waiting for the slowest of several pods). Sums to the step.
using Breakdown = std::vector<std::pair<std::string, Seconds>>;

std::vector<Breakdown> breakdowns(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
                                  const Placement& placement, const Course& course, const Tally& tally);

// Of one entry; 0 where there is none.
Seconds sum_named(const Breakdown& breakdown, const std::string& name);

} // namespace podsim
