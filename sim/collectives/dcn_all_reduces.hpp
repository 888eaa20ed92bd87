#pragma once
// The algorithms of an all-reduce between pods or nodes, by the names that software gives them: `dcn_all_reduce`.

#include "sim/collectives/phase.hpp"

#include <string>
#include <utility>
#include <vector>

namespace podsim {

// All members of the factor have as many bytes, and each ends with their sum: `chunk` times its length.
using DcnAllReduce = PhasePtr (*)(const AxisFactor& factor, Bytes chunk, const Machine& machine);

// The first is the usual one.
const std::vector<std::pair<std::string, DcnAllReduce>>& dcn_all_reduces();

} // namespace podsim
