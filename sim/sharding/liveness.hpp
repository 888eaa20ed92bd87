#pragma once
// The pass that says what a device keeps in its memory while a block runs, and from when to when; and what it keeps
// from each iteration until the backward pass.
//
// Takes a block, its layouts and where in the device's operations they stand. Each version that is no slice of another
// and lies nowhere else has a buffer from the operation that makes it to the last that reads it or one of its slices.

#include "sim/sharding/compilation.hpp"
#include "sim/sharding/overlap.hpp"
#include "sim/sharding/sharded_program.hpp"

#include <vector>

namespace podsim {

// Which operation of the device reads what an operation or a collective of the block reads, and which makes what it
// makes: the same, but for a separate sum.
struct Standing {
  std::vector<int> operations;  // of each of BlockLayouts; of an output, the number of those before it
  std::vector<int> sums;        // that which makes the operation's results
  std::vector<int> collectives; // of each of BlockLayouts
};

std::vector<Buffer> liveness(const Block& block, const BlockLayouts& lies, const std::vector<Placed>& order,
                             const Standing& standing, const Mesh& mesh, const ShardingRules& rules,
                             Accumulation accumulation);

// Of one iteration; where some keep other things than the rest, on average.
Bytes saved(const Block& block, const BlockLayouts& lies);

} // namespace podsim
