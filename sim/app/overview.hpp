#pragma once
// What `podsim show` says of a scenario: all that is known of it without simulating.

#include "reports/show.hpp"
#include "sim/evaluate/evaluate.hpp"

namespace podsim {

// The leaves of a resolved scenario by their path; of a constant its value. To be taken before the document is read.
std::vector<std::pair<std::string, std::string>> resolved_values(const Document& document);

// All but the values and the device classes, which take a machine's size to find.
Overview overview(const Prepared& prepared);

} // namespace podsim
