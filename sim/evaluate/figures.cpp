#include "sim/evaluate/figures.hpp"

#include "sim/core/figure_rows.hpp"

#include <cmath>
#include <functional>
#include <vector>

namespace podsim {
namespace {

using Way = std::function<std::optional<double>(const Evaluation&, Counting)>;

// In the order of figure_table(), both being of the same rows.
const std::vector<Way>& ways()
{
  static const std::vector<Way> all = [] {
    std::vector<Way> made;
    figure_rows::each_figure([&](const Figure&, const auto& way) { made.emplace_back(way); });
    return made;
  }();
  return all;
}

} // namespace

std::optional<double> value_of(const Figure& figure, const Evaluation& run, Counting counting)
{
  const auto row   = static_cast<std::size_t>(&figure - figure_table().data());
  const auto value = ways().at(row)(run, counting);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<double> value_of(const Figure& figure, const Evaluation& run)
{
  return value_of(figure, run, figure.conventions.front().second);
}

std::optional<double> predicted(const PublishedFigure& figure, const Evaluation& run)
{
  return value_of(*figure.metric, run, figure.counting);
}

std::optional<double> json_value(const Figure& figure, const Evaluation& run)
{
  const auto value = value_of(figure, run);
  return value ? std::optional(*value * figure.json_scale) : std::nullopt;
}

} // namespace podsim
