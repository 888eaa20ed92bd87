#include "sim/sharding/sharding.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fmt/format.h>

namespace podsim {
namespace {

// The axis of the mesh that a rule's name is likely a slip of: a letter is wrong, or two of a long name ("modle").
std::string meant_axis(const std::string& name, const Mesh& mesh)
{
  constexpr std::size_t shortest = 4; // "tp" and "dp" are no slips of each other
  constexpr std::size_t longer   = 5;
  const auto is_digit            = [](unsigned char c) { return std::isdigit(c) != 0; };
  for (const MeshAxis& axis : mesh.axes)
    if (name.size() + 1 >= shortest && axis.name.size() >= shortest &&
        std::none_of(name.begin(), name.end(), is_digit) &&
        edit_distance(name, axis.name) <= (name.size() < longer ? 1 : 2))
      return axis.name;
  return "";
}

DimAxes read_table(Reader table, const Mesh& mesh, std::vector<std::string>& known)
{
  DimAxes axes{};
  for (const auto& [name, dim] : dim_names())
    if (const auto rule = table.find(name))
      for (const std::string& axis : rule->texts()) {
        const bool usual =
            std::find(usual_axis_names().begin(), usual_axis_names().end(), axis) != usual_axis_names().end();
        if (const std::string meant = meant_axis(axis, mesh); mesh.find(axis) == 0 && !usual && !meant.empty())
          rule->complain(fmt::format("the mesh has no axis \"{}\"; did you mean \"{}\"?", printable(axis), meant));
        known.push_back(axis);
        if (mesh.size(mesh.find(axis)) > 1)
          axes[static_cast<std::size_t>(dim)] |= mesh.find(axis);
      }
  table.finish();
  return axes;
}

} // namespace

AxisMask ShardingRules::used() const
{
  AxisMask all = 0;
  for (const DimAxes& table : {weights, gradients, optimizer, activations, compute})
    for (const AxisMask axes : table)
      all |= axes;
  return all;
}

ShardingRules read_sharding(Reader rules, const Mesh& mesh)
{
  ShardingRules read;
  const auto read_own = [&](const Reader& own) { return read_table(own, mesh, read.known); };
  read.name           = rules.at("name").text();
  read.weights        = read_own(rules.at("weights"));
  read.gradients      = read.weights;
  if (const auto gradients = rules.find("gradients"))
    read.gradients = read_own(*gradients);
  read.optimizer = read.gradients;
  if (const auto optimizer = rules.find("optimizer"))
    read.optimizer = read_own(*optimizer);
  read.activations = read_own(rules.at("activations"));
  read.compute     = read_own(rules.at("compute"));
  rules.finish();
  std::sort(read.known.begin(), read.known.end());
  read.known.erase(std::unique(read.known.begin(), read.known.end()), read.known.end());
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

namespace {

// `flat`: the elements that are split as a whole, 0 where each dimension is.
Layout layout(std::span<const Extent> shape, const DimAxes& table, const Mesh& mesh, double flat)
{
  Layout result;
  AxisMask taken = 0;
  for (const bool sequence : {false, true})
    for (const Extent& extent : shape) {
      if ((extent.dim == Dim::sequence || extent.dim == Dim::key_sequence) != sequence)
        continue;
      const AxisMask axes = table[static_cast<std::size_t>(extent.dim)] & ~taken;
      if (axes == 0)
        continue;
      const std::int64_t size = mesh.size(axes);
      const bool enough       = extent.dim == Dim::embed && flat >= static_cast<double>(size);
      if (extent.size < size && !enough)
        continue;
      result.dims[static_cast<std::size_t>(extent.dim)] = axes;
      taken |= axes;
    }
  return result;
}

} // namespace

Layout layout(std::span<const Extent> shape, const DimAxes& table, const Mesh& mesh)
{
  return layout(shape, table, mesh, 0);
}

Layout layout(const Tensor& tensor, const DimAxes& table, const Mesh& mesh)
{
  double flat = tensor.kind == TensorKind::activation ? 0 : 1;
  for (const Extent& extent : tensor.shape)
    flat *= extent.dim == Dim::layer ? 1 : static_cast<double>(extent.size); // as a layer by itself is split
  return layout(tensor.shape, table, mesh, flat);
}

double local_size(const Extent& extent, const DimAxes& dims, const Mesh& mesh)
{
  const std::int64_t parts      = mesh.size(dims[static_cast<std::size_t>(extent.dim)]);
  const std::int64_t rounded_up = (extent.size + parts - 1) / parts;
  return static_cast<double>(rounded_up);
}

double local_elements(const Tensor& tensor, const Layout& layout, const Mesh& mesh)
{
  double product = 1;
  double parts   = 1;
  for (const Extent& extent : tensor.shape)
    if (tensor.kind == TensorKind::activation || extent.dim == Dim::vocab) {
      product *= local_size(extent, layout.dims, mesh);
    } else {
      product *= static_cast<double>(extent.size);
      parts *= static_cast<double>(mesh.size(layout.dims[static_cast<std::size_t>(extent.dim)]));
    }
  return std::ceil(product / parts);
}

} // namespace podsim
