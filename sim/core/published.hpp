#pragma once
// Figures that somebody published for a scenario, to stand beside what podsim predicts.
//
// Sources count FLOPs in ways of their own. A figure is compared in its source's convention: the table says which
// metrics know which conventions, and podsim's metrics count the predicted side the same way.

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

enum class Metric {
  step_time,
  tokens_per_s,
  tokens_per_s_per_chip,
  sequences_per_s,
  sequences_per_s_per_chip,
  mfu,
  hfu,
  tflops_per_chip,
  layer_forward_time,  // one layer's forward pass, from its first operation to its last
  layer_backward_time, // its backward pass, with what is recomputed in it
  bubble,              // mean over devices of the share of the step in which one waits for other stages
  model_flops_per_token,
  hardware_flops_per_token,
  dcn_burst,
  achieved_bandwidth, // of a micro-benchmark
  achieved_flops,
};

// Which FLOPs of a token are counted. N: parameters that a token meets; L layers, H heads of size Q, T tokens a
// sequence, h channels, V vocabulary. Without lookup: N without the parameters that no product reads, an untied
// embedding of the input and learned positions.
enum class Counting {
  none,
  palm,          // 6N + 12 L H Q T (arXiv:2204.02311, appendix B)
  palm_hardware, // the same and what this scenario recomputes
  six_n,         // 6N
  six_n_causal,  // 6N + 6 L H Q T: causal attention is half (MaxText's tables for v5)
  palm_without_lookup,
  six_n_without_lookup,
  six_n_causal_without_lookup,
  executed, // what the step executes: no lookup, the masked half of attention only where a kernel computes it, what
            // remat and kernels repeat, and of experts what they have room for
  two_n,    // 2N: inference
  eight_n,  // 8N: full recomputation, without attention
  slowest_stage, // no FLOPs: of a bubble, that of the stage which waits least
  narayanan,     // 96 L h^2 (1 + T/6h + V/16Lh): full recomputation (arXiv:2104.04473, section 5.1)
};

// What a metric is called in files and by people, its units with what one is in base units (fractions of 1, seconds,
// bytes a second...), and the conventions in which sources give it. The first unit is the one that is shown.
struct MetricInfo {
  Metric metric;
  std::string name, label;
  std::vector<std::pair<std::string, double>> units;
  std::vector<std::pair<std::string, Counting>> conventions;
};
const std::vector<MetricInfo>& metric_table();
const MetricInfo& info(Metric metric);

struct PublishedFigure {
  std::string id;
  Metric metric{};
  double value = 0;         // in base units; of a ratio, the ratio
  std::string unit;         // as the source gives it
  double base_units = 1;    // one such unit in base units
  std::string convention;   // which FLOPs the source counts
  Counting counting{};      // the same
  std::string statistic;    // best, median, average...
  bool calibration = false; // a constant was fitted to it, or it is an input: no test of the prediction
  std::string source;
  std::string relative_to;   // of a ratio: the scenario file whose metric it is over, as the figure names it
  std::string relative_file; // and where that is
  std::string family;        // with which others it is averaged, see family_names()
  std::string run;           // figures of one run are one case; empty: those of this scenario are
};

// The families in which errors are averaged: training on each chip, and apart from those what tests no training step.
const std::vector<std::string>& family_names();

// The family of a figure whose file names none: that of the chip ("NVIDIA A100 80 GB" is an A100), but for
// micro-benchmarks and for counts of FLOPs, whose small errors would flatter it.
std::string chip_family(const std::string& chip);
bool is_chip(const std::string& chip, const std::string& name); // "NVIDIA A100 80 GB" is an "A100"
std::string usual_family(Metric metric, const std::string& chip);

} // namespace podsim
