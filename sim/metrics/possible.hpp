#pragma once
// What no run can say, whatever its scenario. Where one does, podsim is wrong and not the user: an internal error.

#include "sim/metrics/metrics.hpp"

#include <stdexcept>
#include <string>

namespace podsim {

// what(): what cannot be and by how much, the hash of the scenario, and a request to report it. One line.
class ImpossibleFigure : public std::logic_error {
public:
  using std::logic_error::logic_error;
};

// Throws where a link is busier than always, a device executes more than its peak allows, a breakdown does not add up
// to the step, or choices of experts are neither kept nor dropped.
void check_possible(const Metrics& metrics, const std::string& scenario_hash);

} // namespace podsim
