#pragma once

#include "reports/result.hpp"
#include "reports/style.hpp"

#include <string>

namespace podsim {

// The result for a person at a terminal.
std::string to_text(const Result& result, const Style& style);

// The memory table of a result, whether or not it fits.
std::string memory_text(const Memory& memory, Bytes capacity);

} // namespace podsim
