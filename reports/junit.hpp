#pragma once

#include "reports/gate.hpp"

#include <string>

namespace podsim {

// The gate as JUnit's XML, a test case a scenario, as CI systems read it: what moved, is new or missing is a failure,
// what did not run an error.
std::string to_junit(const Gate& gate);

// Text made fit for XML 1.0, in an attribute or between tags: what XML cannot hold (most control characters, broken
// UTF-8) is written as U+FFFD.
std::string xml_escaped(const std::string& text);

} // namespace podsim
