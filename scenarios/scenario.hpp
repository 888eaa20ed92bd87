#pragma once
// A scenario: a workload and a machine, and how the one lies on the other, read and checked as a whole.

#include "scenarios/faults.hpp"
#include "scenarios/placement.hpp"
#include "scenarios/resolve.hpp"
#include "scenarios/software.hpp"
#include "sim/core/published.hpp"
#include "sim/workloads/micro_benchmark.hpp"
#include "sim/workloads/training.hpp"
#include "topologies/machine.hpp"

#include <string>
#include <variant>
#include <vector>

namespace podsim {

struct Scenario {
  std::string name;
  std::string hash;
  std::variant<Training, MicroBenchmark> workload;
  Machine machine;
  Mesh mesh;
  Placement placement; // of each mesh axis
  Software software;   // of a micro-benchmark its collectives alone
  std::vector<PublishedFigure> published;
  std::vector<Fault> faults; // whose effects together are the machine's overrides

  std::vector<UsedConstant> constants;
  std::vector<std::string> files;

  Training& training() { return std::get<Training>(workload); } // where it is no micro-benchmark
  const Training& training() const { return std::get<Training>(workload); }
  const MicroBenchmark* micro_benchmark() const { return std::get_if<MicroBenchmark>(&workload); }
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
