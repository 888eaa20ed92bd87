#pragma once
// What `podsim compare` writes: scenarios side by side, a column each.

#include "reports/style.hpp"
#include "sim/evaluate/evaluation.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

constexpr int comparison_schema_version = 1;

struct Column {
  std::string label; // in the heads of the tables
  std::string file;
  Evaluation run; // or why there is none
};

// An answer that a study asks for: one column's figure over another's.
struct Ratio {
  std::string metric, of, over;  // `of` and `over` are labels
  std::string says;              // a sentence in which {} stands for the ratio; or empty
  std::optional<double> value{}; // nothing where one of the two could not run
};

struct Comparison {
  std::string name, question; // of a study
  std::vector<Column> columns;
  std::vector<Ratio> ratios;
};

Page to_text(const Comparison& comparison, const Style& style);
std::string to_json(const Comparison& comparison);
std::string to_csv(const Comparison& comparison);

} // namespace podsim
