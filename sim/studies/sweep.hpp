#pragma once
// A study of many scenarios: a base scenario, axes of values that are laid over it in all combinations, constraints
// that combinations must meet, and the figures that are kept of each.
//
// Combinations are numbered as one writes them down: the last axis changes fastest. The numbers count all of them,
// those that a constraint leaves out as well, so that a combination is known by its number as long as the axes stay.

#include "scenarios/catalogue.hpp"
#include "scenarios/variants.hpp"
#include "sim/studies/training_plan.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

struct AxisValue {
  std::string label;
  std::vector<std::string> changes; // as of --set
  std::string scenario;             // another base scenario, as the study names it, or empty
  TrainingPlan plan;                // over the study's own
};

struct SweepAxis {
  std::string name;
  std::vector<AxisValue> values;
};

struct Sweep {
  std::string name, question;
  std::string text;     // the study's JSON without its layout, from which it can be read again
  std::string scenario; // its base; empty where an axis gives one
  std::vector<SweepAxis> axes;
  std::vector<std::string> constraints;
  std::vector<std::string> metrics; // kept figures, by their names in figure_table()
  TrainingPlan plan;
  std::size_t size() const; // combinations, those left out included
};

struct Combination {
  std::string scenario;
  std::vector<std::string> changes;
  std::vector<std::string> labels; // of each axis
  TrainingPlan plan;
};

// Throws InputError.
Sweep read_sweep(const std::string& file);
Sweep read_sweep_text(const std::string& text, const std::string& origin);

// The entry of a plan that a figure cannot be told without and that not all combinations have; or nullptr.
const char* missing_for(const std::string& metric, const Sweep& sweep);

Combination combination(const Sweep& sweep, std::size_t number);

// The scenarios of a study's combinations, which it names by their path from its folder or by their name in the
// catalogue; wrong paths and names are the study's to mend and said so. For one thread.
class SweepScenarios {
public:
  SweepScenarios(std::string study, const Catalogue& catalogue)
      : study_(std::move(study)), catalogue_(catalogue), variants_(catalogue)
  {
  }

  const std::string& study() const { return study_; }
  const std::string& file_of(const Combination& combination);
  const Document& resolve(const Combination& combination); // it stays until the next call
  Scenario read(const Combination& combination);

private:
  std::string study_;
  const Catalogue& catalogue_;
  Variants variants_;
  std::map<std::string, std::string> files_; // by what the study calls them
};

// The first constraint that the combination does not meet; -1: it meets all.
int unmet_constraint(const Sweep& sweep, const Combination& combination, const Document& document,
                     const std::string& study);

} // namespace podsim
