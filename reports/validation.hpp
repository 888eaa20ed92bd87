#pragma once
// What `podsim validate` writes.

#include "reports/style.hpp"
#include "sim/metrics/validation.hpp"

#include <string>
#include <vector>

namespace podsim {

constexpr int validation_schema_version = 1;

// A scenario that could not be run, for all its figures.
struct ScenarioFailure {
  std::string scenario;
  Status status;
  std::string reason;
};

struct Validation {
  std::vector<ValidatedFigure> figures; // by family, then by scenario
  std::vector<FamilyErrors> families;
  std::vector<ScenarioFailure> failures;
};

Page to_text(const Validation& validation, const Style& style);
std::string to_json(const Validation& validation);
std::string to_csv(const Validation& validation);

} // namespace podsim
