#include "sim/sharding/mesh.hpp"

namespace podsim {

std::int64_t Mesh::size(AxisMask set) const
{
  std::int64_t product = 1;
  for (std::size_t i = 0; set != 0 && i < axes.size(); ++i, set >>= 1U)
    if (set & 1U)
      product *= axes[i].size;
  return product;
}

std::string Mesh::names(AxisMask set) const
{
  std::string all;
  for (std::size_t i = 0; i < axes.size(); ++i)
    if (set >> i & 1U)
      all += (all.empty() ? "" : "+") + axes[i].name;
  return all;
}

AxisMask Mesh::find(const std::string& name) const
{
  for (std::size_t i = 0; i < axes.size(); ++i)
    if (axes[i].name == name)
      return AxisMask{1} << i;
  return 0;
}

const std::vector<std::string>& usual_axis_names()
{
  static const std::vector<std::string> names{"pod", "data", "model", "expert", "context"};
  return names;
}

} // namespace podsim
