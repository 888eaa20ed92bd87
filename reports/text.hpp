#pragma once

#include "reports/style.hpp"
#include "sim/evaluate/evaluation.hpp"

#include <string>

namespace podsim {

// The result for a person at a terminal.
Page to_text(const Evaluation& result, const Style& style);

// A figure in base units with the unit that people read: "17.11 s", "245.1 k", "47.5 %".
std::string shown(const Figure& figure, double value);

// An entry of the breakdown in words: "exposed_ici_data" is "exposed ICI data".
std::string breakdown_words(std::string name);

// What must be known beside the figures, and what experts drop; empty where there is nothing.
Page remark_lines(const Evaluation& result);

// The memory table of a result, whether or not it fits.
Page memory_text(const Memory& memory, Bytes capacity);

} // namespace podsim
