#include "reports/remarks.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace podsim {
namespace {

// A line for each set of chips that the constants are of.
void add_foreign(const Evaluation& result, std::vector<std::string>& all)
{
  std::vector<std::string> chips;
  for (const ForeignConstant& one : result.foreign)
    if (std::find(chips.begin(), chips.end(), one.chip) == chips.end())
      chips.push_back(one.chip);
  for (const std::string& chip : chips) {
    std::vector<std::string> paths;
    for (const ForeignConstant& one : result.foreign)
      if (one.chip == chip)
        paths.push_back(one.path);
    all.push_back(fmt::format("{} hold{} for {} and not for {}", fmt::join(paths, ", "), paths.size() == 1 ? "s" : "",
                              chip, result.chip));
  }
}

std::string over_100(const Metrics& metrics)
{
  std::vector<std::string> counted;
  if (metrics.flops.skipped > 0)
    counted.emplace_back("the masked half of attention, which the kernel skips");
  if (metrics.routing && metrics.routing->dropped > 0)
    counted.emplace_back("the choices that experts drop");
  if (metrics.flops.lookup > 0)
    counted.emplace_back("parameters that are only looked up");
  return fmt::format("MFU is over 100 % because PaLM's convention counts {}", fmt::join(counted, ", and "));
}

} // namespace

std::vector<std::string> remarks(const Evaluation& result)
{
  std::vector<std::string> all;
  add_foreign(result, all);
  if (result.experts && result.experts->dropped > 0)
    all.push_back(fmt::format("{:.1f} % of the choices of experts are dropped, if all experts are chosen alike; MFU "
                              "counts them, HFU does not",
                              100 * result.experts->dropped));
  if (result.metrics && result.metrics->mfu > 1)
    all.push_back(over_100(*result.metrics));
  return all;
}

Page remarks_text(const std::vector<std::string>& of_rows)
{
  std::vector<std::pair<std::string, std::size_t>> counts; // first met first
  for (const std::string& remark : of_rows) {
    auto known = std::find_if(counts.begin(), counts.end(), [&](const auto& one) { return one.first == remark; });
    if (known == counts.end())
      known = counts.insert(known, {remark, 0});
    ++known->second;
  }
  Page text;
  for (const auto& [remark, rows] : counts)
    text += lay("  ! {} row{}: {}\n", rows, rows == 1 ? "" : "s", remark);
  return text;
}

} // namespace podsim
