#pragma once

#include "reports/style.hpp"
#include "sim/evaluate/evaluation.hpp"

#include <string>
#include <vector>

namespace podsim {

// A collective of one iteration of a block, as `show` lists it.
struct CollectiveRow {
  std::string name;
  std::string axes;
  Bytes full;
  Seconds alone; // on links that nothing else uses
  bool asynchronous;
};

struct BlockRow {
  std::string name;
  std::int64_t count;
  std::vector<CollectiveRow> collectives;
};

// What is known of a scenario without simulating it.
struct Overview {
  Evaluation description;
  ModelShape model;
  FlopsPerToken flops;
  std::vector<DeviceClass> classes;
  std::vector<BlockRow> blocks;
  std::vector<std::pair<std::string, std::string>> values; // of the resolved scenario, by their path
};

Page to_text(const Overview& overview, const Style& style);

} // namespace podsim
