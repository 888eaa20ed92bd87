#pragma once
// What GitHub's actions show of a gate: annotations, which are lines on standard output that the runner reads, and a
// summary of the job in Markdown, which is added to a file.

#include "reports/gate.hpp"

#include <string>

namespace podsim {

constexpr std::size_t annotations_shown = 10;        // of errors, and of warnings, in a step; GitHub drops the others
constexpr std::size_t summary_limit     = 1U << 20U; // bytes a step; GitHub refuses what is longer

// "::error file=...,title=...::message" a line; where there are more than GitHub shows, the last one counts the rest.
std::string annotations(const Gate& gate);

// At most `room` bytes.
std::string step_summary(const Gate& gate, std::size_t room);

} // namespace podsim
