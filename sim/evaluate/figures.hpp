#pragma once
// The figures of an evaluation, by the rows of the table (sim/core/figures.hpp), in base units. What a run does not
// have is nothing: MFU of a micro-benchmark, memory that nobody knows, a number that is none.

#include "sim/evaluate/evaluation.hpp"

#include <optional>

namespace podsim {

// `figure` is a row of figure_table().
std::optional<double> value_of(const Figure& figure, const Evaluation& run, Counting counting);
std::optional<double> value_of(const Figure& figure, const Evaluation& run);           // as podsim itself counts
std::optional<double> predicted(const PublishedFigure& figure, const Evaluation& run); // as the source counts

// As the JSON of a run has it.
std::optional<double> json_value(const Figure& figure, const Evaluation& run);

} // namespace podsim
