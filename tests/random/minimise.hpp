#pragma once
// A failing case made small: faults dropped, layers, batches, axes and settings taken away, while it still fails the
// same check in the same way.

#include "tests/random/checks.hpp"

#include <chrono>

namespace podsim::test {

// `judge` runs a case wherever that is safe.
Case minimised(const Case& failing, const std::function<Verdict(const Case&)>& judge, std::chrono::seconds limit);

} // namespace podsim::test
