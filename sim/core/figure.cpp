#include "sim/core/figure.hpp"

namespace podsim {

const std::vector<FigureInfo>& figure_table()
{
  static const std::vector<FigureInfo> table{
      {"chips", "chips", "", false},
      {"step_time", "step time", "s", false},
      {"tokens_per_s", "tokens/s", "tokens/s", true},
      {"tokens_per_s_per_chip", "tokens/s a chip", "tokens/s", true},
      {"mfu", "MFU", "", true},
      {"hfu", "HFU", "", true},
      {"exposed", "exposed", "", false},
      {"bubble", "bubble", "", false},
      {"memory", "memory", "B", false},
      {"energy_per_token", "J a token", "J", false},
      {"dropped_choices", "dropped", "", false},
      {"days", "days", "d", false, true},
      {"chip_hours", "chip-hours", "h", false, true},
      {"energy", "MWh", "MWh", false, true},
      {"co2e", "tCO2e", "t", false, true},
      {"cost", "cost", "", false, true},
  };
  return table;
}

const FigureInfo* find_figure(const std::string& name)
{
  for (const FigureInfo& figure : figure_table())
    if (figure.name == name)
      return &figure;
  return nullptr;
}

std::vector<std::string> figure_names()
{
  std::vector<std::string> names;
  for (const FigureInfo& figure : figure_table())
    names.push_back(figure.name);
  return names;
}

} // namespace podsim
