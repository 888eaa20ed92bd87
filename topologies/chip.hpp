#pragma once
// One accelerator as a set of units. An operation takes the longest of its units' times, plus what cannot
// overlap:
//   matrix  FLOPs with every dimension rounded up to the unit's tile, over the peak times an efficiency
//   hbm     bytes over bandwidth times an achieved fraction
//   vector  element operations over the vector unit's rate
//   fixed   a dispatch time, and the time in which the first tiles come in and the last ones go out: until
//           then no unit works (this is what makes small products slow)

#include "sim/core/reader.hpp"
#include "sim/core/units.hpp"
#include "sim/core/work.hpp"

#include <string>

namespace podsim {

struct Chip {
  std::string name;
  FlopsPerSecond matrix_peak; // bf16
  double matrix_efficiency = 1;
  std::int64_t tile_rows = 1, tile_depth = 1, tile_columns = 1;
  Bytes hbm_capacity;
  BytesPerSecond hbm_bandwidth;
  double hbm_efficiency = 1;
  OpsPerSecond vector_rate;
  Seconds dispatch;
  Bytes pipeline_fill;      // bytes that move before and after the units overlap
  std::int64_t devices = 1; // of the mesh that the chip is: a device is a core on TPU v2 and v3
};

struct OperationTime {
  Seconds matrix, hbm, vector, fixed;
  Seconds total() const;
};

Chip read_chip(Reader chip);
OperationTime operation_time(const Work& work, const Chip& chip);

} // namespace podsim
