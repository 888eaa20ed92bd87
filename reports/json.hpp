#pragma once

#include "sim/evaluate/evaluation.hpp"

#include <string>

namespace podsim {

// The result as JSON, a line feed at its end. The same result gives the same bytes; numbers are finite or absent.
std::string to_json(const Evaluation& result);

} // namespace podsim
