#include "scenarios/placement.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace podsim {
namespace {

std::size_t read_lattice_axis(const Reader& on, const Lattice* lattice)
{
  if (lattice == nullptr) {
    on.text();
    return 0;
  }
  std::vector<std::pair<std::string, std::size_t>> axes;
  for (std::size_t axis = 0; axis < lattice->axes.size(); ++axis)
    axes.emplace_back(lattice->axes[axis].name, axis);
  return on.choice(axes);
}

// "y", the whole axis, or {"axis": "y", "length": 4, "stride": 2}, a part of it.
AxisFactor read_factor(Reader on, const Lattice* lattice)
{
  static const LatticeAxis any{"", AxisKind::dcn, 100'000'000, true};
  if (on.is_text()) {
    const std::size_t index = read_lattice_axis(on, lattice);
    const LatticeAxis& axis = lattice ? lattice->axes[index] : any;
    return {index, axis.size, 1, axis.closed};
  }
  AxisFactor factor{read_lattice_axis(on.at("axis"), lattice), 1, 1, false};
  const LatticeAxis& axis = lattice ? lattice->axes[factor.axis] : any;
  factor.length           = on.at("length").count(1, axis.size);
  if (const auto stride = on.find("stride"))
    factor.stride = stride->count(1, axis.size);
  on.finish();
  if (!lattice || !on.sound())
    return factor;
  if (axis.size % (factor.length * factor.stride) != 0)
    on.complain(fmt::format("length {} with stride {} does not divide the axis of {}", factor.length, factor.stride,
                            axis.size));
  const bool whole    = factor.length * factor.stride == axis.size;
  const bool switched = axis.kind != AxisKind::ici;
  factor.closed       = switched || (whole && axis.closed);
  if (factor.stride > 1 && !factor.closed)
    on.complain("a stride needs a ring: it must reach around a closed axis");
  return factor;
}

AxisPlacement read_axis_placement(const Reader& on, const Lattice* lattice)
{
  AxisPlacement placement;
  if (on.is_array())
    for (const Reader& factor : on.elements())
      placement.push_back(read_factor(factor, lattice));
  else
    placement.push_back(read_factor(on, lattice));
  return placement;
}

std::int64_t capacity(const AxisPlacement& placement)
{
  std::int64_t devices = 1;
  for (const AxisFactor& factor : placement)
    devices *= factor.length;
  return devices;
}

// Throws CannotRun where the axes ask for more than the machine has.
void check_filled(const Reader& mesh, const std::vector<Reader>& places, const PlacedMesh& placed,
                  const Machine& machine)
{
  double devices = 1;
  for (const MeshAxis& axis : placed.mesh.axes)
    devices *= static_cast<double>(axis.size);
  const auto there         = static_cast<double>(machine.devices());
  const std::string called = machine.device_word() + std::string("s");
  if (devices < there)
    mesh.fail(fmt::format("its axes multiply to {:.0f}, but the machine has {:.0f} {}", devices, there, called));
  if (devices > there)
    throw CannotRun(fmt::format("mesh: its axes multiply to {:.0f}; the machine, {}, has {:.0f} {}", devices,
                                machine.shape(), there, called));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::int64_t size = placed.mesh.axes[i].size;
    const std::int64_t room = capacity(placed.placement[i]);
    const std::string place = fmt::format("{}, which has {}", describe(placed.placement[i], machine), room);
    if (size > room)
      throw CannotRun(fmt::format("{}: an axis of {} does not fit on {}", places[i].path(), size, place));
    if (size < room)
      places[i].complain(fmt::format("an axis of {} does not fill {}", size, place));
  }
  for (std::size_t axis = 0; axis < machine.lattice.axes.size(); ++axis) {
    std::int64_t used = 1;
    for (const AxisPlacement& placement : placed.placement)
      for (const AxisFactor& factor : placement)
        used *= factor.axis == axis ? factor.length : 1;
    if (used != machine.lattice.axes[axis].size)
      mesh.fail(fmt::format("the machine's axis {} is {} long, but mesh axes on it multiply to {}",
                            machine.lattice.axes[axis].name, machine.lattice.axes[axis].size, used));
    if (const auto found = overlapping(placed.placement, axis))
      mesh.fail(fmt::format("the parts of the axis {} overlap: the one of length {} needs the stride {}, not {}",
                            machine.lattice.axes[axis].name, found->factor.length, found->needs, found->factor.stride));
  }
}

} // namespace

PlacedMesh read_mesh(Reader mesh, const Machine* machine)
{
  PlacedMesh placed;
  std::vector<Reader> places;
  if (!mesh.is_object() && !mesh.is_array() && !mesh.is_text()) {
    mesh.misread("an object of axes, like {\"data\": {\"size\": 256, \"on\": [\"y\", \"z\"]}}");
    return placed;
  }
  for (const std::string& name : mesh.keys()) {
    Reader axis = mesh.at(name);
    placed.mesh.axes.push_back({name, axis.at("size").count(1, 10'000'000)});
    placed.placement.push_back(read_axis_placement(axis.at("on"), machine ? &machine->lattice : nullptr));
    axis.finish();
    places.push_back(axis);
    if (placed.mesh.axes.size() > 16) {
      mesh.complain("more than 16 axes");
      return placed;
    }
  }
  if (!machine || !mesh.sound())
    return placed;
  mesh.attempt([&] {
    try {
      check_filled(mesh, places, placed, *machine);
    } catch (const CannotRun& refused) {
      placed.refused = refused;
    }
  });
  return placed;
}

} // namespace podsim
