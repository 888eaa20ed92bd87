#pragma once
// What the compiler and the framework of the day did, each field a constant with its source.

#include "sim/core/reader.hpp"
#include "sim/program/program.hpp"
#include "sim/sharding/compilation.hpp"
#include "sim/sharding/sharding.hpp"

#include <string>
#include <utility>
#include <vector>

namespace podsim {

// MultiAxis in the engine's words.
enum class MultiAxisUse : std::uint8_t { sequential, concurrent, pipelined };
const std::vector<std::pair<std::string, MultiAxisUse>>& multi_axis_uses();

struct Software {
  std::string name;
  Compilation compilation;
  Precision precision;
  MultiAxisUse multi_axis = MultiAxisUse::sequential;
};

Software read_software(Reader software, const Mesh& mesh, const ShardingRules& sharding);

} // namespace podsim
