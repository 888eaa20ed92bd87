#pragma once
// Where the axes of a mesh lie on a machine.

#include "sim/core/reader.hpp"
#include "sim/sharding/mesh.hpp"
#include "topologies/machine.hpp"

namespace podsim {

struct PlacedMesh {
  Mesh mesh;
  Placement placement; // of each mesh axis
};

// Complains of axes that do not fill the machine; throws CannotRun where they ask for more than it has.
PlacedMesh read_mesh(Reader mesh, const Machine& machine);

} // namespace podsim
