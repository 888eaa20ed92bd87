#pragma once
// A case judged in a process of its own: a crash or a simulation without end is a failure of the case, not of the
// tests.

#include "tests/random/checks.hpp"

#include <chrono>

namespace podsim::test {

// The cases of a draw, one for each check that is asked of it (or for the one of that name); none where the reader
// refuses it, which `refused` then says.
std::vector<Case> drawn_cases(std::uint64_t seed, const std::string& only = "", std::string* refused = nullptr);

// `limit` is by the clock, for what waits for ever.
Verdict judged(const Case& c, std::chrono::seconds limit = std::chrono::minutes(10));

// The same of several, which share what they simulate where they ask of one scenario.
std::vector<Verdict> judged(const std::vector<Case>& cases, std::chrono::seconds limit = std::chrono::minutes(10));

// A case as a file: {"check": ..., "says": ..., "scenario": {...}, "other": {...}}.
nlohmann::json to_file(const Case& c, const Verdict& verdict);
Case from_file(const nlohmann::json& file);

} // namespace podsim::test
