#pragma once
// Figures that somebody published for a scenario, to stand beside what podsim predicts.

#include <string>
#include <utility>
#include <vector>

namespace podsim {

enum class Metric { mfu, mfu_without_attention, hfu, tokens_per_s, step_time, dcn_burst };

struct PublishedFigure {
  std::string id;
  Metric metric;
  double value;           // in base units: fractions of 1, tokens a second, seconds, bytes a second
  std::string convention; // which FLOPs the source counts
  std::string statistic;  // best, median, average...
  bool calibration;       // a constant was fitted to it, or it is an input: no test of the prediction
  std::string source;
};

// What a metric is called in files, and the unit it is published and shown in.
struct MetricInfo {
  Metric metric;
  std::string name;
  std::string unit;
  double base_units;      // one unit in base units
  std::string convention; // the only way of counting FLOPs in which podsim's figure can stand beside a published one
};
const std::vector<MetricInfo>& metric_table();
const MetricInfo& info(Metric metric);

} // namespace podsim
