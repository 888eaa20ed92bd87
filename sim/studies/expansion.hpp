#pragma once
// Which combinations a study has, and which of them are wrong before any is simulated.

#include "sim/studies/store.hpp"
#include "sim/studies/sweep.hpp"

#include <vector>

namespace podsim {

struct Shard {
  int number = 1, count = 1;
};

// What the store keeps of a study, and its combinations in order, without those that a constraint leaves out.
struct Expansion {
  StoredStudy study;
  std::vector<StoredCombination> combinations;
};

// Throws InputError where the constraints leave none, or where one cannot be resolved.
Expansion expand(const Sweep& sweep, const Shard& shard, SweepScenarios& scenarios);

// A slip in the study, such as a misspelt key at the end of a path, is the user's to mend before anything runs or is
// stored: one in all of its scenarios, or in a single value of an axis, whatever the other axes say. Throws InputError.
void check_readable(const Sweep& sweep, const Expansion& all, SweepScenarios& scenarios);

// What is wrong without the file or setting that a value came from: the same reasons are to count as one.
std::string reason_alone(std::string reason, const Combination& combination, SweepScenarios& scenarios);

} // namespace podsim
