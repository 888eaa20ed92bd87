#pragma once
// What devices do, block by block and operation by operation, of small scenarios.

#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace podsim::test {

inline const std::string fused = R"(software.attention={"kernel": "fused", "causal": "half", "forward_efficiency": 0.5,
                             "backward_efficiency": 0.4})";

inline const DeviceBlock& block(const Prepared& prepared, const std::string& name)
{
  for (const DeviceBlock& one : prepared.sharded.programs.front().blocks)
    if (one.name == name)
      return one;
  throw std::logic_error("no block " + name);
}

inline std::vector<DeviceOperation> named(const Prepared& prepared, const std::string& block_name,
                                          const std::string& name)
{
  std::vector<DeviceOperation> all;
  for (const DeviceOperation& operation : block(prepared, block_name).operations)
    if (operation.name == name)
      all.push_back(operation);
  return all;
}

inline DeviceOperation only(const Prepared& prepared, const std::string& block_name, const std::string& name)
{
  const auto all = named(prepared, block_name, name);
  INFO(block_name << ": " << name);
  REQUIRE(all.size() == 1);
  return all.front();
}

inline SmallScenario on_one_axis(std::vector<std::string> changes, const std::string& remat = "none")
{
  return {.model    = "tiny-serial",
          .remat    = remat,
          .sharding = "data-parallel",
          .mesh     = {{"data", {"x", "y", "z"}}},
          .changes  = std::move(changes)};
}

inline const std::vector<std::string> cuda = {
    R"(software.element_wise="kernels")",
    R"(software.asynchronous=["weight gathers", "gradient reductions"])",
};

inline SmallScenario fully_sharded(std::vector<std::string> changes)
{
  SmallScenario scenario = on_one_axis(std::move(changes));
  scenario.sharding      = "fsdp";
  scenario.changes.insert(scenario.changes.end(), cuda.begin(), cuda.end());
  return scenario;
}

// Calls f(operation, times) for all a stage does in a step.
template <class F> void each_operation(const ShardedProgram& program, std::size_t stage, const F& f)
{
  for (const Step& step : program.stages[stage].steps)
    for (const DeviceOperation& op : program.program_of(stage).blocks[static_cast<std::size_t>(step.block)].operations)
      f(op, static_cast<double>(step.count));
}

} // namespace podsim::test
