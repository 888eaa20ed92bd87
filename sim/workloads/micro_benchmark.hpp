#pragma once
// One operation by itself, on every device.

#include "sim/workloads/programs.hpp"

#include <string>

namespace podsim {

struct MicroBenchmark {
  DeviceOperation operation;
  std::string description; // one line
};

Programs programs_of(const MicroBenchmark& benchmark, const Mesh& mesh);

} // namespace podsim
