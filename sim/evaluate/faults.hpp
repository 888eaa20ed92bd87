#pragma once
// A step on a machine with faults: exact where that is affordable, else bounds; and what each fault costs.

#include "sim/engine/simulate.hpp"
#include "sim/evaluate/evaluation.hpp"
#include "sim/evaluate/prepare.hpp"

#include <functional>
#include <string>

namespace podsim {

struct MeasuredStep {
  Course course;
  Metrics metrics;
  bool waits_for_groups = false; // somewhere a collective over several rings does, and they are out of step
};

// The scenario's step on a machine with other faults, whose devices fall into these classes. Throws std::logic_error
// for what cannot be.
DeviceClasses classes_on(const Machine& machine, const Prepared& prepared);
MeasuredStep measure_on(const Machine& machine, const DeviceClasses& classes, const Prepared& prepared,
                        const SimulationOptions& options, bool slow_links_by_chunks = true);

struct Faulty {
  MeasuredStep measured;
  std::string bound; // in which way it is one from above; empty if it is exact
  Seconds at_least;  // how far below it the step may be
};
Faulty measure_faulty(Machine machine, const Prepared& prepared, const SimulationOptions& options);

// Told before what will take long: what it is, and about how long.
using Announce = std::function<void(const std::string& what, Seconds time)>;

// Beside the scenario's step on its machine, the healthy machine and each fault alone.
FaultReport fault_report(const Faulty& all, const Prepared& prepared, const SimulationOptions& options,
                         const Announce& announce);

} // namespace podsim
