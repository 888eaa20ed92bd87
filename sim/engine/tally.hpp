#pragma once
// What metrics take of a simulation: sums over all that happened on each class of devices. A trace is summed up to it
// (sim/metrics/summed.hpp), and the recurrence over pipeline stages makes it without one.

#include "sim/core/ticks.hpp"
#include "sim/sharding/mesh.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

namespace podsim {

// A sum of times in which their order does not matter: what shares a link may leave the clock's grid, and records that
// end together stand in any order. Counted in 2^-9 ticks, of which 2^63 are the longest step.
class TimeSum {
public:
  void add(Seconds time) { parts_ += std::llround(time.value() * parts_per_second); }
  void add_ticks(Ticks ticks) { parts_ += ticks * parts_per_tick; }
  Seconds total() const { return Seconds(static_cast<double>(parts_) / parts_per_second); }

private:
  static constexpr std::int64_t parts_per_tick = 512;
  static constexpr double parts_per_second     = ticks_per_second * parts_per_tick;
  std::int64_t parts_                          = 0;
};

struct Spent {
  TimeSum time;           // where it was seen to begin and to end
  std::int64_t times = 0; // where it takes its known time
};

// One layer's time: of all steps of a role, from the start of a step's first blocking operation to the end of its last,
// over the iterations in them.
struct LayerTime {
  Seconds sum;
  double iterations = 0;
};

struct ClassTally {
  std::vector<std::vector<Spent>> operations; // blocking ones, by block and operation
  std::map<AxisMask, TimeSum> waits;          // by the mesh axes of what was waited for; 0: for other stages
  Seconds last;                               // the end of the last blocking operation,
  Seconds last_beside;                        // and of the last asynchronous collective,
  AxisMask beside = 0;                        // and over which axes
};

struct Tally {
  std::vector<ClassTally> classes;
  LayerTime forward, backward;
};

} // namespace podsim
