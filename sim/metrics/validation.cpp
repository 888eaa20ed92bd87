#include "sim/metrics/validation.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace podsim {
namespace {

struct ByFamily {
  bool operator()(const std::string& a, const std::string& b) const { return family_before(a, b); }
};

using Errors = std::map<std::string, std::vector<double>>; // of each run's figures

ErrorBar error_bar(const std::string& family, const Errors& runs)
{
  ErrorBar bar{family, static_cast<std::int64_t>(runs.size()), 0, 0};
  for (const auto& [run, errors] : runs) {
    double sum = 0;
    for (const double error : errors) {
      sum += error;
      bar.largest = std::max(bar.largest, error);
    }
    bar.mean += sum / static_cast<double>(errors.size()) / static_cast<double>(runs.size());
  }
  return bar;
}

} // namespace

std::string ValidatedFigure::run() const
{
  if (!figure.run.empty())
    return "run " + figure.run;
  return figure.relative_to.empty() ? scenario : scenario + " ratio " + figure.id;
}

bool family_before(const std::string& a, const std::string& b)
{
  const auto& names = family_names();
  const auto at_a   = std::find(names.begin(), names.end(), a);
  const auto at_b   = std::find(names.begin(), names.end(), b);
  return at_a != at_b ? at_a < at_b : a < b;
}

std::vector<FamilyErrors> family_errors(const std::vector<ValidatedFigure>& figures)
{
  std::map<std::string, std::pair<Errors, Errors>, ByFamily> families;
  for (const ValidatedFigure& figure : figures)
    if (figure.predicted) {
      auto& [tests, calibration] = families[figure.figure.family];
      (figure.figure.calibration ? calibration : tests)[figure.run()].push_back(std::abs(figure.error()));
    }
  std::vector<FamilyErrors> all;
  for (const auto& [family, errors] : families)
    all.push_back({error_bar(family, errors.first), error_bar(family, errors.second)});
  return all;
}

} // namespace podsim
