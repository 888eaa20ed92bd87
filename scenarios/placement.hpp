#pragma once
// Where the axes of a mesh lie on a machine.

#include "sim/core/reader.hpp"
#include "sim/sharding/mesh.hpp"
#include "topologies/machine.hpp"

#include <optional>

namespace podsim {

struct PlacedMesh {
  Mesh mesh;
  Placement placement;              // of each mesh axis
  std::optional<CannotRun> refused; // a sound mesh that asks for more than the machine has
};

// Complains of axes that do not fill the machine. Without one, whose file is wrong, the mesh is read by itself.
PlacedMesh read_mesh(Reader mesh, const Machine* machine);

} // namespace podsim
