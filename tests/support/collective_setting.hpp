#pragma once
// Collectives on the generic machine: links of 10 GB/s, 1 us a hop, NICs of 8 GB/s for 4 chips, 10 us across.

#include "sim/collectives/duration.hpp"
#include "tests/support/small_scenario.hpp"

#include <string>
#include <utility>
#include <vector>

namespace podsim::test {

inline constexpr double tick = 1 / ticks_per_second;

struct Setting {
  Prepared prepared;
  Placement placement;
};

// Mesh axes: bit 0 data on y and z, bit 1 model on x, bit 2 pod.
inline Setting setting(const std::string& slice, int pods = 1, std::vector<std::string> changes = {})
{
  std::vector<std::pair<std::string, nlohmann::json>> mesh{{"data", {"y", "z"}}, {"model", "x"}};
  if (pods > 1)
    mesh.emplace_back("pod", "dcn");
  const nlohmann::json none    = nlohmann::json::object();
  const nlohmann::json unsplit = {{"name", "unsplit"}, {"weights", none}, {"activations", none}, {"compute", none}};
  std::vector<std::string> axes;
  for (const auto& [name, on] : mesh)
    axes.push_back(name);
  Prepared prepared   = test::prepare({.slice      = slice,
                                       .pods       = pods,
                                       .sharding   = unsplit,
                                       .mesh       = mesh,
                                       .changes    = std::move(changes),
                                       .replicated = axes});
  Placement placement = prepared.scenario.placement;
  return {std::move(prepared), std::move(placement)};
}

inline double seconds(const Setting& s, const Collective& collective, MultiAxis multi_axis = MultiAxis::sequential)
{
  return static_cast<double>(duration(plan(collective, s.prepared.scenario.machine, s.placement, multi_axis))) * tick;
}

inline DeviceOperation operation(Collective collective, bool asynchronous = false)
{
  DeviceOperation op{.name = "collective", .kind = DeviceOperation::Kind::collective};
  op.collective   = collective;
  op.asynchronous = asynchronous;
  return op;
}

inline double simulated(const Setting& s, std::vector<DeviceOperation> operations, Granularity granularity,
                        bool explicit_devices = false, MultiAxis multi_axis = MultiAxis::sequential)
{
  DeviceBlock block;
  block.name       = "test";
  block.operations = std::move(operations);
  return test::simulate(one_stage(s.prepared.scenario.mesh, {block}), s.prepared.scenario.machine, s.placement,
                        multi_axis, granularity, explicit_devices)
      .end.value();
}

inline const Collective gather_x{CollectiveKind::all_gather, 2, Bytes(64e6)};

} // namespace podsim::test
