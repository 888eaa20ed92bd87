#include "sim/metrics/possible.hpp"

#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace podsim {
namespace {

constexpr double rounding = 1e-9; // sums of doubles, relative

using Complaint = std::optional<std::string>;

Complaint wrong_share(const std::string& what, double share)
{
  if (share >= -rounding && share <= 1 + rounding) // not for NaN
    return {};
  return fmt::format("{} is {:.6g}, which is not from 0 to 1", what, share);
}

Complaint wrong_breakdown(const Breakdown& breakdown, std::size_t device_class, Seconds step)
{
  Seconds sum;
  for (const auto& [name, time] : breakdown) {
    if (!(time >= step * -rounding))
      return fmt::format("\"{}\" takes {} s of the step of class {}", name, time.value(), device_class);
    sum += time;
  }
  if (std::abs(sum / step - 1) <= rounding)
    return {};
  return fmt::format("the breakdown of class {} adds up to {} s of a step of {} s", device_class, sum.value(),
                     step.value());
}

Complaint wrong_routing(const Routing& routing)
{
  if (std::abs(routing.kept + routing.dropped - routing.choices) <= rounding * routing.choices)
    return {};
  return fmt::format("experts keep {:.6g} choices and drop {:.6g} of {:.6g}", routing.kept, routing.dropped,
                     routing.choices);
}

Complaint impossible(const Metrics& metrics)
{
  for (std::size_t c = 0; c < metrics.breakdowns.size(); ++c)
    if (auto wrong = wrong_breakdown(metrics.breakdowns[c], c, metrics.step_time))
      return wrong;
  for (const LinkUse& link : metrics.links)
    if (auto wrong = wrong_share(fmt::format("the busy share of link {}", link.name), link.busy_fraction))
      return wrong;
  if (auto wrong = wrong_share("the share of its peak that a device executes", metrics.device_use))
    return wrong;
  if (auto wrong = wrong_share("HFU", metrics.hfu))
    return wrong;
  if (auto wrong = wrong_share("the bubble", metrics.bubble))
    return wrong;
  return metrics.routing ? wrong_routing(*metrics.routing) : std::nullopt;
}

} // namespace

void check_possible(const Metrics& metrics, const std::string& scenario_hash)
{
  if (const Complaint wrong = impossible(metrics))
    throw ImpossibleFigure(
        fmt::format("{}, in the scenario with the hash {}; this is a fault of podsim's: please report "
                    "it with the scenario",
                    *wrong, scenario_hash));
}

} // namespace podsim
