#pragma once
// The logical array of devices. Its axes have names and sizes; where they lie on the machine is not
// known here.

#include <cstdint>
#include <string>
#include <vector>

namespace podsim {

struct MeshAxis {
  std::string name;
  std::int64_t size;
  friend bool operator==(const MeshAxis&, const MeshAxis&) = default;
};

using AxisMask = std::uint32_t; // a set of mesh axes, bit i for axis i

struct Mesh {
  std::vector<MeshAxis> axes;

  std::int64_t devices() const { return size(~AxisMask{0}); }
  std::int64_t size(AxisMask set) const;        // product of the sizes
  std::string names(AxisMask set) const;        // "data+model"
  AxisMask find(const std::string& name) const; // 0 if the mesh has no such axis
  friend bool operator==(const Mesh&, const Mesh&) = default;
};

// The mesh axis of pipeline stages; it splits no tensor.
inline const std::string pipeline_axis_name = "pipeline";

// The names that sharding rules may use whether or not a mesh has the axis (then it counts as size 1).
const std::vector<std::string>& usual_axis_names();

} // namespace podsim
