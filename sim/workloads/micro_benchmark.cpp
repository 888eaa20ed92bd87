#include "sim/workloads/micro_benchmark.hpp"

#include <utility>

namespace podsim {

Programs programs_of(const MicroBenchmark& benchmark, const Mesh& mesh)
{
  DeviceBlock block{.name = "micro-benchmark", .operations = {benchmark.operation}, .buffers = {}, .saved = {}};
  ShardedProgram sharded;
  sharded.mesh     = mesh;
  sharded.programs = {{{std::move(block)}, {}}};
  sharded.stages   = {{0, {{0, 1}}}};
  return {{}, std::move(sharded)};
}

} // namespace podsim
