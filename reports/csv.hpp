#pragma once

#include <string>
#include <vector>

namespace podsim {

// One line of CSV (RFC 4180, but a plain line feed at its end): fields that need it stand in quotes.
std::string csv_line(const std::vector<std::string>& fields);

} // namespace podsim
