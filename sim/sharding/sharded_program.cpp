#include "sim/sharding/sharded_program.hpp"

namespace podsim {

PrecedenceGraph precedence(const DeviceBlock& block)
{
  PrecedenceGraph graph(block.operations.size());
  int previous = -1;
  for (std::size_t i = 0; i < block.operations.size(); ++i) {
    for (const int need : block.operations[i].needs)
      add_edge(static_cast<std::size_t>(need), i, graph);
    if (block.operations[i].asynchronous)
      continue;
    if (previous >= 0)
      add_edge(static_cast<std::size_t>(previous), i, graph);
    previous = static_cast<int>(i);
  }
  return graph;
}

} // namespace podsim
