#pragma once
// What the compiler and the framework of the day did, each field a constant with its source.

#include "sim/collectives/plan.hpp"
#include "sim/core/reader.hpp"
#include "sim/program/program.hpp"
#include "sim/sharding/sharding.hpp"

#include <string>
#include <utility>
#include <vector>

namespace podsim {

const std::vector<std::pair<std::string, MultiAxis>>& multi_axis_names(); // "sequential"...

struct Software {
  std::string name;
  Compilation compilation;
  Precision precision;
  CollectiveChoices collectives;
};

Software read_software(Reader software, const Mesh& mesh, const ShardingRules& sharding);

} // namespace podsim
