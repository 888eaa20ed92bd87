#pragma once
// One row (an iteration of a block) by itself: where nothing is left over from earlier rows and nobody but the device
// has a say, it takes the same time whenever it runs.

#include "sim/engine/timed_program.hpp"

#include <vector>

namespace podsim {

struct RowAlone {
  bool whole  = true;               // asynchronous collectives end within it, and none could begin before it
  Ticks time  = 0;                  // from one row to the next
  Ticks first = 0;                  // when its first blocking operation begins
  std::vector<Ticks> wait;          // of each blocking operation, for asynchronous collectives that it needs,
  std::vector<AxisMask> waited_for; // and over which axes
};

// By the rules of the executor: blocking operations in their order, the collectives of each queue in theirs.
RowAlone row_alone(const DeviceBlock& block, const std::vector<Ticks>& durations);

} // namespace podsim
