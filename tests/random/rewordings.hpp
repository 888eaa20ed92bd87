#pragma once
// The same scenario in other words: checks that compare a scenario with a second reading of it.

#include "tests/random/checks.hpp"

namespace podsim::test {

// A torus whose axes bear each other's names takes as long.
nlohmann::json turned(nlohmann::json& scenario, Dice& dice);
Verdict turned_is_same(const Case& c);

// The order of keys in a file says nothing.
Verdict key_order_says_nothing(const Case& c);

// What --set puts back into a file is what the file had.
nlohmann::json stripped(nlohmann::json& scenario, Dice& dice);
Verdict set_is_file(const Case& c);

// Gradients reduced over the network's nodes at once, or over two parts of them in turn: the same bytes, and where
// latencies are nothing the same time.
nlohmann::json parted(nlohmann::json& scenario, Dice& dice);
Verdict parted_is_same(const Case& c);

// The program itself against the library: the JSON of `run`, the memory and values of `show`, a sweep's row.
Verdict program_is_library(const Case& c);

} // namespace podsim::test
