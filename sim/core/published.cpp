#include "sim/core/published.hpp"

#include <algorithm>

namespace podsim {

const std::vector<MetricInfo>& metric_table()
{
  static const std::vector<MetricInfo> table{
      {Metric::mfu, "mfu", "%", 0.01, "palm"},
      {Metric::mfu_without_attention, "mfu_without_attention", "%", 0.01, "6N"},
      {Metric::hfu, "hfu", "%", 0.01, "palm"},
      {Metric::tokens_per_s, "tokens_per_s", "tokens/s", 1, "none"},
      {Metric::step_time, "step_time", "s", 1, "none"},
      {Metric::dcn_burst, "dcn_burst", "Tb/s", 1e12 / 8, "none"},
  };
  return table;
}

const MetricInfo& info(Metric metric)
{
  return *std::find_if(metric_table().begin(), metric_table().end(),
                       [&](const MetricInfo& row) { return row.metric == metric; });
}

} // namespace podsim
