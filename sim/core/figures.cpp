#include "sim/core/figures.hpp"

#include "sim/core/figure_rows.hpp"

#include <algorithm>
#include <stdexcept>

namespace podsim {
namespace {

// With what a row leaves out because it is usual.
Figure completed(Figure row)
{
  if (row.json_name.empty())
    row.json_name = row.name;
  if (row.conventions.empty())
    row.conventions = {{"none", Counting::none}};
  if (row.units.empty())
    row.units = {{"", 1}};
  return row;
}

} // namespace

const std::vector<Figure>& figure_table()
{
  static const std::vector<Figure> table = [] {
    std::vector<Figure> rows;
    figure_rows::each_figure([&](Figure row, const auto&) { rows.push_back(completed(std::move(row))); });
    return rows;
  }();
  return table;
}

std::vector<const Figure*> figures_in(Listing list)
{
  std::vector<const Figure*> all;
  for (const Figure& row : figure_table())
    if (row.in.contains(list))
      all.push_back(&row);
  return all;
}

std::vector<std::string> figure_names(Listing list)
{
  std::vector<std::string> names;
  for (const Figure* row : figures_in(list))
    names.push_back(row->name);
  return names;
}

const Figure* find_figure(Listing list, const std::string& name)
{
  const auto& table = figure_table();
  const auto found  = std::find_if(table.begin(), table.end(),
                                   [&](const Figure& row) { return row.name == name && row.in.contains(list); });
  return found == table.end() ? nullptr : &*found;
}

const Figure& figure(const std::string& name)
{
  for (const Figure& row : figure_table())
    if (row.name == name)
      return row;
  throw std::logic_error("there is no figure \"" + name + "\"");
}

} // namespace podsim
