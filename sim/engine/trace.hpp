#pragma once
// What happened when, as the simulation saw it.

#include "sim/core/units.hpp"
#include "sim/engine/equivalence.hpp"

#include <cstdint>
#include <vector>

namespace podsim {

enum class Granularity : std::uint8_t { automatic, collective, chunk };

// One execution of one operation on the representative of a class, or of `operations` of them one after the other,
// through iterations of their block, where nothing could come in between. `ready`: the device reached it (or, if it
// is asynchronous, put it in its queue); `start`: it had all it waited for, its partners among it.
struct TraceRecord {
  std::int32_t device_class;
  std::int32_t step; // of its stage's schedule
  std::int32_t iteration;
  std::int32_t operation;
  std::int32_t operations;
  Seconds ready, start, end;
  AxisMask waited_for; // mesh axes of the asynchronous collective it waited for last, if any
};

struct Trace {
  std::vector<DeviceClass> classes; // those with records, as records number them
  std::vector<std::size_t> stages;  // the pipeline stage of each
  std::vector<TraceRecord> records; // in the order in which they ended
  Seconds end;
  std::int64_t simulated_classes = 0;
  std::int64_t activities        = 0;     // that SimGrid executed
  bool chunked                   = false; // whether any collective was simulated by its chunks
};

} // namespace podsim
