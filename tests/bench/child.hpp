#pragma once
// Simulations and programs in processes of their own, with the time and the memory that they took.

#include "sim/evaluate/evaluate.hpp"

#include <functional>
#include <string>
#include <vector>

namespace podsim::bench {

struct Sample {
  double inside      = 0; // seconds that the work took, as the child's clock has it
  double around      = 0; // and from before the fork to the child's end
  std::int64_t chips = 0, classes = 0, activities = 0;
};

// `work` in a child of this process, which tells the sample as it leaves it. Throws std::runtime_error if the child did
// not end well.
Sample in_child(const std::function<void(Sample&)>& work);

// From the resolved scenario to the result, in a child.
Sample simulate_in_child(const Scenario& scenario, Granularity granularity);

struct ProcessSample {
  double seconds     = 0;
  double cpu_seconds = 0; // with those of processes that it waited for
  double peak_mb     = 0; // of resident memory, the most of any of them
};

// `podsim ARGUMENTS`, its output thrown away. What this process has in its memory when it starts the program counts as
// the program's: Linux takes the peak over.
ProcessSample run_podsim(const std::vector<std::string>& arguments, const std::string& program = PODSIM_PROGRAM);

double seconds_of(const std::function<void()>& work);

} // namespace podsim::bench
