#pragma once
// The figures that a study keeps of each run, by name. Those of the table of published metrics (sim/core/published.hpp)
// are under the same names and in the same base units.

#include <map>
#include <string>
#include <vector>

namespace podsim {

using Figures = std::map<std::string, double>;

struct FigureInfo {
  std::string name, label;
  std::string unit;       // of its numbers, as programs get them
  bool more_is_better;    // for sorting and for the Pareto front
  bool of_a_plan = false; // follows from a budget, a price... and not from the run alone
};

const std::vector<FigureInfo>& figure_table();
const FigureInfo* find_figure(const std::string& name); // nullptr: there is none of this name
std::vector<std::string> figure_names();

} // namespace podsim
