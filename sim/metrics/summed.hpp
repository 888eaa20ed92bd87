#pragma once
// A trace, summed up.

#include "sim/engine/tally.hpp"
#include "sim/engine/trace.hpp"
#include "sim/sharding/sharded_program.hpp"

namespace podsim {

Tally summed(const Trace& trace, const ShardedProgram& program);

} // namespace podsim
