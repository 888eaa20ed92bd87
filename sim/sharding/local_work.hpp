#pragma once
// The pass that says what the operations of a block cost one device: its shard of the products, and the bytes that it
// reads and writes.
//
// Takes a block, its layouts, and how the software of the day adds up and copies gradients. Gives the work of each
// operation and collective by itself, wherever and whenever it runs.

#include "sim/core/work.hpp"
#include "sim/sharding/compilation.hpp"
#include "sim/sharding/layouts.hpp"

#include <optional>
#include <vector>

namespace podsim {

struct OperationWork {
  Work own;
  std::optional<Work> sum; // of an operation of its own that adds its result to the sum over micro-batches
};

struct CollectiveWork {
  Bytes full;                        // as Collective::full
  Bytes copied_before, copied_after; // by copies to and from its buffer
};

struct BlockWork {
  std::vector<OperationWork> operations;   // like the block's
  std::vector<CollectiveWork> collectives; // like the layouts'
};

BlockWork local_work(const Block& block, const BlockLayouts& lies, const Mesh& mesh, const Gradients& gradients,
                     const Copies& copies);

} // namespace podsim
