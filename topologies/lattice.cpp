#include "topologies/lattice.hpp"

#include <algorithm>

namespace podsim {

std::int64_t Lattice::devices() const
{
  std::int64_t product = 1;
  for (const LatticeAxis& axis : axes)
    product *= axis.size;
  return product;
}

std::int64_t Lattice::coordinate(std::int64_t device, std::size_t axis) const
{
  for (std::size_t i = 0; i < axis; ++i)
    device /= axes[i].size;
  return device % axes[axis].size;
}

std::int64_t Lattice::moved(std::int64_t device, std::size_t axis, std::int64_t to) const
{
  std::int64_t step = 1;
  for (std::size_t i = 0; i < axis; ++i)
    step *= axes[i].size;
  return device + (to - coordinate(device, axis)) * step;
}

std::int64_t position(const AxisFactor& factor, std::int64_t device, const Lattice& lattice)
{
  return (lattice.coordinate(device, factor.axis) / factor.stride) % factor.length;
}

std::int64_t position(const AxisPlacement& placement, std::int64_t device, const Lattice& lattice)
{
  std::int64_t index = 0;
  for (std::size_t i = placement.size(); i-- > 0;)
    index = index * placement[i].length + position(placement[i], device, lattice);
  return index;
}

Line line(const AxisFactor& factor, std::int64_t device, const Lattice& lattice)
{
  const std::int64_t extent = factor.length * factor.stride;
  return {lattice.coordinate(device, factor.axis) / extent * extent, extent};
}

bool relays(const AxisFactor& factor, const Lattice& lattice)
{
  return lattice.axes[factor.axis].kind == AxisKind::ici;
}

namespace {

// How far apart the members of a factor are, seen as those that relay for each other; and where on its line the first
// is that is one with the device.
struct Members {
  std::int64_t step, offset;
};
Members members_on(const Line& on, const AxisFactor& factor, std::int64_t device, const Lattice& lattice)
{
  if (relays(factor, lattice))
    return {1, 0};
  return {factor.stride, (lattice.coordinate(device, factor.axis) - on.first) % factor.stride};
}

} // namespace

std::int64_t next_on_line(const AxisFactor& factor, std::int64_t device, int direction, const Lattice& lattice)
{
  const Line on           = line(factor, device, lattice);
  const std::int64_t step = members_on(on, factor, device, lattice).step;
  std::int64_t to         = lattice.coordinate(device, factor.axis) - on.first + direction * step;
  if (factor.closed)
    to = (to + on.extent) % on.extent;
  return to < 0 || to >= on.extent ? -1 : lattice.moved(device, factor.axis, on.first + to);
}

std::int64_t neighbour(const AxisPlacement& placement, std::int64_t device, int direction, const Lattice& lattice)
{
  for (const AxisFactor& factor : placement) {
    const std::int64_t at   = position(factor, device, lattice);
    const std::int64_t to   = (at + direction + factor.length) % factor.length;
    const std::int64_t from = lattice.coordinate(device, factor.axis);
    device                  = lattice.moved(device, factor.axis, from + (to - at) * factor.stride);
    if (to == at + direction)
      break; // no carry to the next factor
  }
  return device;
}

std::vector<std::int64_t> members(const std::vector<AxisFactor>& factors, std::int64_t device, const Lattice& lattice)
{
  std::vector<std::int64_t> all{device};
  for (const AxisFactor& factor : factors) {
    std::vector<std::int64_t> more;
    for (const std::int64_t from : all) {
      const Line on             = line(factor, from, lattice);
      const auto [step, offset] = members_on(on, factor, from, lattice);
      for (std::int64_t i = offset; i < on.extent; i += step)
        more.push_back(lattice.moved(from, factor.axis, on.first + i));
    }
    all = std::move(more);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::int64_t first_member(const std::vector<AxisFactor>& factors, std::int64_t device, const Lattice& lattice)
{
  for (const AxisFactor& factor : factors) {
    const Line on = line(factor, device, lattice);
    device        = lattice.moved(device, factor.axis, on.first + members_on(on, factor, device, lattice).offset);
  }
  return device;
}

bool is_closed(const Placement& placement)
{
  return std::all_of(placement.begin(), placement.end(), [](const AxisPlacement& axis) {
    return std::all_of(axis.begin(), axis.end(),
                       [](const AxisFactor& factor) { return factor.closed || factor.length == 1; });
  });
}

std::optional<Overlapping> overlapping(const Placement& placement, std::size_t axis)
{
  std::vector<AxisFactor> parts;
  for (const AxisPlacement& place : placement)
    for (const AxisFactor& factor : place)
      if (factor.axis == axis && factor.length > 1)
        parts.push_back(factor);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.stride < b.stride; });
  std::int64_t spanned = 1;
  for (const AxisFactor& part : parts) {
    if (part.stride != spanned)
      return Overlapping{part, spanned};
    spanned *= part.length;
  }
  return std::nullopt;
}

} // namespace podsim
