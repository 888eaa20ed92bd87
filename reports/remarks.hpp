#pragma once

#include "reports/page.hpp"
#include "sim/evaluate/evaluation.hpp"

#include <string>
#include <vector>

namespace podsim {

// What must be known of the figures beside them, each in a line: constants of other chips, choices that experts drop,
// an MFU over 100 % and what makes it so.
std::vector<std::string> remarks(const Evaluation& result);

// What a table says of its rows' remarks: which of them there are, and how many rows have each.
Page remarks_text(const std::vector<std::string>& of_rows);

} // namespace podsim
