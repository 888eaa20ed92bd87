#pragma once
// One row (an iteration of a block) by itself: where nothing is left over from earlier rows and nobody but the device
// has a say, it takes the same time whenever it runs.

#include "sim/engine/timed_program.hpp"
#include "sim/engine/trace.hpp"

#include <vector>

namespace podsim {

struct RowAlone {
  bool whole  = true; // asynchronous collectives end within it, and none could begin before it
  Ticks time  = 0;    // from one row to the next
  Ticks first = 0;    // when its first blocking operation begins
  struct Place {
    Ticks ready = 0, start = 0, end = 0; // as in a TraceRecord, from the beginning of the row
    AxisMask waited_for = 0;             // of a blocking one, that starts when collectives over these axes have ended
    Ticks wait() const { return start - ready; }
  };
  std::vector<Place> operations;
};

// By the rules of the executor: blocking operations in their order, the collectives of each queue in theirs.
RowAlone row_alone(const DeviceBlock& block, const std::vector<Ticks>& durations);

// Whether a record is of rows that were run as wholes, with the asynchronous collectives in them: no other record of
// several operations has any.
bool of_whole_rows(const TraceRecord& record, const DeviceBlock& block);

// The record of a run of operations as one of each, in their order.
std::vector<TraceRecord> split(const TraceRecord& record, const DeviceProgram& program, const Stage& stage,
                               const std::vector<std::vector<Ticks>>& durations);

} // namespace podsim
