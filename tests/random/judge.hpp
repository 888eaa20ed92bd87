#pragma once
// A case judged in a process of its own: a crash or a simulation without end is a failure of the case, not of the
// tests.

#include "tests/random/checks.hpp"

#include <chrono>

namespace podsim::test {

// The case of a check and a draw; none where the reader refuses the draw, which `refused` then says.
std::optional<Case> drawn_case(const Check& check, std::uint64_t seed, std::string* refused = nullptr);

Verdict judged(const Case& c, std::chrono::seconds limit = std::chrono::seconds(60));

// A case as a file: {"check": ..., "says": ..., "scenario": {...}, "other": {...}}.
nlohmann::json to_file(const Case& c, const Verdict& verdict);
Case from_file(const nlohmann::json& file);

} // namespace podsim::test
