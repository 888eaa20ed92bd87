#pragma once
// What happened when, as the simulation saw it.

#include "sim/core/units.hpp"
#include "sim/engine/equivalence.hpp"

#include <cstdint>
#include <vector>

namespace podsim {

enum class Granularity : std::uint8_t { automatic, collective, chunk };

// One execution of one operation on the representative of a class. `ready`: the device reached it (or, if it
// is asynchronous, put it in its queue); `start`: it had all it waited for, its partners among it.
struct TraceRecord {
  std::int32_t device_class;
  std::int32_t block;
  std::int32_t iteration;
  std::int32_t operation;
  Seconds ready, start, end;
  AxisMask waited_for; // mesh axes of the asynchronous collective it waited for last, if any
};

struct Trace {
  std::vector<DeviceClass> classes; // those with records, as records number them
  std::vector<TraceRecord> records; // in the order in which they ended
  Seconds end;
  std::int64_t simulated_classes = 0;
  std::int64_t activities        = 0;     // that SimGrid executed
  bool chunked                   = false; // whether any collective was simulated by its chunks
};

} // namespace podsim
