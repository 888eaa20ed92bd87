#pragma once
// The state of a simulation as plain numbers, to ask whether it is the same as it was some time before. Times are ages
// and slots are counted from where each class of devices stands, so that two states are equal if and only if what
// follows is the same but for a shift.

#include "sim/core/ticks.hpp"

#include <cstdint>
#include <vector>

namespace podsim {

class State {
public:
  void add(std::int64_t number) { numbers_.push_back(number); }
  template <class... Numbers> void add(std::int64_t first, Numbers... more)
  {
    add(first);
    (add(static_cast<std::int64_t>(more)), ...);
  }
  // Numbers in whose order nothing lies.
  void add_sorted(std::vector<std::vector<std::int64_t>>& rows); // and leaves none
  friend bool operator==(const State&, const State&) = default;

private:
  std::vector<std::int64_t> numbers_;
};

} // namespace podsim
