#pragma once
// What podsim_fuzz mutates inputs for: one target a process, named by PODSIM_FUZZ_TARGET in its environment.
//
// A complaint (InputError, CannotRun) that names its place is a good end of an input. Any other exception, a
// sanitizer's report, a figure that is no number, a hang or a leak is a bug.

#include "scenarios/catalogue.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace podsim::fuzz {

using Random = std::minstd_rand;

std::size_t below(std::size_t bound, Random& random);

template <class T> const T& any_of(const std::vector<T>& all, Random& random)
{
  return all[below(all.size(), random)];
}

struct Target {
  const char* name;
  bool (*run)(const std::string& input); // false: not to be kept, it is outside what the target is for
  // Another input made of one or of two; nothing: libFuzzer shall change bytes.
  std::optional<std::string> (*mutated)(const std::string& input, Random& random);
  std::optional<std::string> (*crossed)(const std::string& input, const std::string& other, Random& random);
};

extern const Target show_target, run_target, set_target, study_target, constraint_target, baseline_target,
    database_target;

// Ends the process where it does not hold.
void require(bool holds, const char* what);

std::filesystem::path source_folder();
const Catalogue& catalogue();

// A file in the temporary folder, which tests/fuzz/run.sh removes, for what podsim reads only from files.
std::string scratch_file(const std::string& name);
void write_scratch(const std::string& file, const std::string& bytes);

// Whether a text of the input, which is said to lie in `file`, may name a file outside the source tree, which a fuzzer
// has no business to read: devices and pipes are files too.
bool names_foreign_file(const Json& json, const std::filesystem::path& file);

} // namespace podsim::fuzz
