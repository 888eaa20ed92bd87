#pragma once
// How far predictions are from what was published, figure by figure and in the mean of a family.
//
// A family's mean is over cases. Figures of one run are one case, whose error is the mean of their absolute errors: one
// run reported as MFU, HFU and tokens/s is no better evidence than one reported once. The largest error is of any
// single figure, so that no case hides one. Figures of one scenario are of one run, but for ratios, each of which is a
// case of its own; "run" in the scenario joins others. What constants were fitted to is summed apart.

#include "sim/core/published.hpp"
#include "sim/core/status.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace podsim {

struct ValidatedFigure {
  PublishedFigure figure;
  std::string scenario;               // its file
  std::optional<double> predicted;    // in base units, of a ratio the ratio
  Status status = Status::ok;         // else why there is no prediction,
  std::string reason;                 // in a line
  std::vector<std::string> remarks{}; // what must be known beside it
  std::string run() const;            // under which it is averaged
  double error() const { return *predicted / figure.value - 1; }
};

// Absolute relative errors.
struct ErrorBar {
  std::string family;
  std::int64_t count = 0; // of cases; without any, the rest says nothing
  double mean = 0, largest = 0;
  std::string missing{}; // why nothing is known of it, or empty
};

struct FamilyErrors {
  ErrorBar tests, calibration;
};

// In the order of the families, which is that of family_names(), others after them by name.
std::vector<FamilyErrors> family_errors(const std::vector<ValidatedFigure>& figures);
bool family_before(const std::string& a, const std::string& b);

} // namespace podsim
