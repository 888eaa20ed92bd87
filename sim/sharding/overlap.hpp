#pragma once
// The pass that says where the collectives of a block run: in the order, before the operation that reads what they
// make, or beside it (asynchronous), as the software of the day can.
//
// Takes a block and its layouts. Gives each operation, each collective and each output once, in the order in which a
// device meets them: operations in the block's order, then its outputs, collectives never before what makes the version
// that they start from.

#include "sim/sharding/compilation.hpp"
#include "sim/sharding/layouts.hpp"

#include <vector>

namespace podsim {

struct Placed {
  enum class Kind : std::uint8_t { operation, collective, output };

  Kind kind;
  int index; // in BlockLayouts: of its operations (an output is behind them), or of its collectives
  Pass pass; // of the operation itself, or of the one at which a collective stands
  bool asynchronous = false;
  bool after_stream = false; // waits for the last one before it that is not asynchronous, besides its operands
};

std::vector<Placed> overlap(const Block& block, const BlockLayouts& lies, const Overlap& overlap, const Copies& copies);

} // namespace podsim
