#pragma once
// Simulates what is not stored yet of a study, in processes of their own, and stores each result as it comes.

#include "sim/evaluate/evaluation.hpp"
#include "sim/jobs/fleet.hpp"
#include "sim/studies/expansion.hpp"

#include <functional>
#include <string>
#include <vector>

namespace podsim {

struct SweepRun {
  std::string engine;
  FleetOptions fleet; // but for what happens at an interrupt and in quiet moments, which is the store's
  bool retry = false; // what crashed or took too long
  std::function<std::vector<std::string>(const Evaluation&)> remarks; // kept with a result, beside its figures
  std::function<void(const std::string&)> tell, warn;                 // a line for those who wait; for all
  std::function<void(std::size_t jobs)> begin;
  std::function<void(bool failed)> job_ended;
  std::function<void()> end; // no more of them will
};

// False where it was interrupted, with a line that says so. A fixed sample of what another engine simulated is
// simulated on SimGrid as well: a difference throws std::logic_error. Throws OutOfResources; what was done is stored.
bool run_sweep(const Sweep& sweep, const Expansion& all, Store& store, SweepScenarios& scenarios, const SweepRun& how);

} // namespace podsim
