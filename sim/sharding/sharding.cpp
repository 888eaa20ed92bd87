#include "sim/sharding/sharding.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace podsim {
namespace {

DimAxes read_table(Reader table, const Mesh& mesh)
{
  DimAxes axes{};
  std::vector<std::string> known = usual_axis_names();
  for (const MeshAxis& axis : mesh.axes)
    known.push_back(axis.name);
  for (const auto& [name, dim] : dim_names())
    if (const auto rule = table.find(name))
      for (const std::string& axis : rule->texts()) {
        if (std::find(known.begin(), known.end(), axis) == known.end())
          rule->fail(fmt::format("the mesh has no axis \"{}\"{}", printable(axis), did_you_mean(axis, known)));
        if (mesh.size(mesh.find(axis)) > 1)
          axes[static_cast<std::size_t>(dim)] |= mesh.find(axis);
      }
  table.finish();
  return axes;
}

} // namespace

ShardingRules read_sharding(Reader rules, const Mesh& mesh)
{
  ShardingRules read;
  read.name      = rules.at("name").text();
  read.weights   = read_table(rules.at("weights"), mesh);
  read.gradients = read.weights;
  if (const auto gradients = rules.find("gradients"))
    read.gradients = read_table(*gradients, mesh);
  read.optimizer = read.gradients;
  if (const auto optimizer = rules.find("optimizer"))
    read.optimizer = read_table(*optimizer, mesh);
  read.activations = read_table(rules.at("activations"), mesh);
  read.compute     = read_table(rules.at("compute"), mesh);
  rules.finish();
  return read;
}

const DimAxes& table(const ShardingRules& rules, TensorKind kind)
{
  switch (kind) {
  case TensorKind::weight:
    return rules.weights;
  case TensorKind::weight_gradient:
    return rules.gradients;
  case TensorKind::optimizer_state:
    return rules.optimizer;
  case TensorKind::activation:
    return rules.activations;
  }
  return rules.activations;
}

AxisMask Layout::axes() const
{
  AxisMask all = 0;
  for (const AxisMask axis : dims)
    all |= axis;
  return all;
}

Layout layout(const std::vector<Extent>& shape, const DimAxes& table, const Mesh& mesh)
{
  Layout result;
  AxisMask taken = 0;
  for (const bool sequence : {false, true})
    for (const Extent& extent : shape) {
      if ((extent.dim == Dim::sequence || extent.dim == Dim::key_sequence) != sequence)
        continue;
      const AxisMask axes = table[static_cast<std::size_t>(extent.dim)] & ~taken;
      if (axes == 0 || extent.size < mesh.size(axes))
        continue;
      result.dims[static_cast<std::size_t>(extent.dim)] = axes;
      taken |= axes;
    }
  return result;
}

double local_size(const Extent& extent, const DimAxes& dims, const Mesh& mesh)
{
  const std::int64_t parts      = mesh.size(dims[static_cast<std::size_t>(extent.dim)]);
  const std::int64_t rounded_up = (extent.size + parts - 1) / parts;
  return static_cast<double>(rounded_up);
}

double local_elements(const std::vector<Extent>& shape, const Layout& layout, const Mesh& mesh)
{
  double product = 1;
  for (const Extent& extent : shape)
    product *= local_size(extent, layout.dims, mesh);
  return product;
}

} // namespace podsim
