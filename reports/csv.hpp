#pragma once

#include <string>
#include <vector>

namespace podsim {

// One line of CSV (RFC 4180, but a plain line feed at its end): fields that need it stand in quotes. What a spreadsheet
// would run begins with an apostrophe, and so is text there; numbers stay numbers.
std::string csv_line(const std::vector<std::string>& fields);

} // namespace podsim
