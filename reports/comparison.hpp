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

// A scenario's figures, all in base units. It is what a worker hands back, so it is also read from JSON.
struct Column {
  std::string label; // in the heads of the tables
  std::string file;
  std::string scenario, model, machine, mesh;
  Status status = Status::ok;
  std::string reason;
  double chips = 0;
  std::vector<std::pair<std::string, double>> values; // by the names of compared_values()
  std::vector<std::pair<std::string, double>> breakdown, memory;
  struct Published {
    std::string id, metric, convention;
    double value, predicted;
    bool calibration;
  };
  std::vector<Published> published;
  std::vector<std::string> remarks; // what must be known beside the figures
  std::optional<double> value(const std::string& name) const;
};

// The figures of a result that are set side by side: step_time, tokens_per_s, tokens_per_s_per_chip, mfu, hfu,
// energy_per_token (joules), chips, dropped_choices (of experts).
const std::vector<std::string>& compared_values();
Column column_of(const Evaluation& result);
std::string column_to_bytes(const Column& column);
void column_from_bytes(const std::string& bytes, Column& column);

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
