#include "sim/core/published.hpp"

#include <algorithm>
#include <cctype>

namespace podsim {
namespace {

using Conventions = std::vector<std::pair<std::string, Counting>>;

const Conventions& none()
{
  static const Conventions names{{"none", Counting::none}};
  return names;
}

const Conventions& of_model()
{
  static const Conventions names{{"palm", Counting::palm},
                                 {"6N", Counting::six_n},
                                 {"6N causal", Counting::six_n_causal},
                                 {"2N", Counting::two_n},
                                 {"palm without lookup", Counting::palm_without_lookup},
                                 {"6N without lookup", Counting::six_n_without_lookup},
                                 {"6N causal without lookup", Counting::six_n_causal_without_lookup}};
  return names;
}

// podsim's own HFU is of what is executed.
const Conventions& of_hardware()
{
  static const Conventions names{{"executed", Counting::executed},
                                 {"palm", Counting::palm_hardware},
                                 {"8N", Counting::eight_n},
                                 {"96Bslh2", Counting::narayanan}};
  return names;
}

const Conventions& of_hardware_count()
{
  static const Conventions names{{"palm", Counting::palm_hardware},
                                 {"executed", Counting::executed},
                                 {"8N", Counting::eight_n},
                                 {"96Bslh2", Counting::narayanan}};
  return names;
}

// Of all devices on average, or of the stage that waits least: then what a slower stage makes others wait is none.
const Conventions& of_bubbles()
{
  static const Conventions names{{"none", Counting::none}, {"slowest stage", Counting::slowest_stage}};
  return names;
}

// TFLOP/s are given of either kind, so the one that PaLM's formula leaves open says so.
const Conventions& of_either()
{
  static const Conventions names{{"palm", Counting::palm},
                                 {"palm hardware", Counting::palm_hardware},
                                 {"6N", Counting::six_n},
                                 {"6N causal", Counting::six_n_causal},
                                 {"2N", Counting::two_n},
                                 {"8N", Counting::eight_n},
                                 {"96Bslh2", Counting::narayanan},
                                 {"executed", Counting::executed},
                                 {"palm without lookup", Counting::palm_without_lookup},
                                 {"6N without lookup", Counting::six_n_without_lookup},
                                 {"6N causal without lookup", Counting::six_n_causal_without_lookup}};
  return names;
}

} // namespace

const std::vector<MetricInfo>& metric_table()
{
  static const std::vector<MetricInfo> table{
      {Metric::step_time, "step_time", "step time", {{"s", 1}, {"ms", 1e-3}}, none()},
      {Metric::tokens_per_s, "tokens_per_s", "tokens/s", {{"tokens/s", 1}}, none()},
      {Metric::tokens_per_s_per_chip, "tokens_per_s_per_chip", "tokens/s a chip", {{"tokens/s", 1}}, none()},
      {Metric::sequences_per_s, "sequences_per_s", "sequences/s", {{"sequences/s", 1}}, none()},
      {Metric::sequences_per_s_per_chip,
       "sequences_per_s_per_chip",
       "sequences/s a chip",
       {{"sequences/s", 1}},
       none()},
      {Metric::mfu, "mfu", "MFU", {{"%", 0.01}}, of_model()},
      {Metric::hfu, "hfu", "HFU", {{"%", 0.01}}, of_hardware()},
      {Metric::tflops_per_chip, "tflops_per_chip", "TFLOP/s a chip", {{"TFLOP/s", 1e12}}, of_either()},
      {Metric::layer_forward_time, "layer_forward_time", "layer forward", {{"ms", 1e-3}}, none()},
      {Metric::layer_backward_time, "layer_backward_time", "layer backward", {{"ms", 1e-3}}, none()},
      {Metric::bubble, "bubble", "bubble", {{"%", 0.01}}, of_bubbles()},
      {Metric::model_flops_per_token, "model_flops_per_token", "model FLOPs", {{"TFLOP", 1e12}}, of_model()},
      {Metric::hardware_flops_per_token,
       "hardware_flops_per_token",
       "hardware FLOPs",
       {{"TFLOP", 1e12}},
       of_hardware_count()},
      {Metric::dcn_burst, "dcn_burst", "cross-pod burst", {{"Tb/s", 1e12 / 8}}, none()},
      {Metric::achieved_bandwidth, "achieved_bandwidth", "bandwidth", {{"GB/s", 1e9}}, none()},
      {Metric::achieved_flops, "achieved_flops", "FLOP rate", {{"TFLOP/s", 1e12}}, none()},
  };
  return table;
}

const MetricInfo& info(Metric metric)
{
  return *std::find_if(metric_table().begin(), metric_table().end(),
                       [&](const MetricInfo& row) { return row.metric == metric; });
}

const std::vector<std::string>& family_names()
{
  static const std::vector<std::string> names{"TPU v2",  "TPU v3", "TPU v4", "TPU v5e", "TPU v5p", "TPU v6e",
                                              "TPU v7x", "V100",   "A100",   "H100",    "FLOPs",   "micro-benchmarks"};
  return names;
}

bool is_chip(const std::string& chip, const std::string& name)
{
  const std::size_t at = chip.find(name);
  if (at == std::string::npos)
    return false;
  const std::size_t end = at + name.size(); // "TPU v4" is not in "TPU v4i"
  return end == chip.size() || std::isalnum(static_cast<unsigned char>(chip[end])) == 0;
}

std::string chip_family(const std::string& chip)
{
  for (const std::string& name : family_names())
    if (is_chip(chip, name))
      return name;
  return chip;
}

std::string usual_family(Metric metric, const std::string& chip)
{
  switch (metric) {
  case Metric::model_flops_per_token:
  case Metric::hardware_flops_per_token:
    return "FLOPs";
  case Metric::achieved_bandwidth:
  case Metric::achieved_flops:
    return "micro-benchmarks";
  default:
    return chip_family(chip);
  }
}

} // namespace podsim
