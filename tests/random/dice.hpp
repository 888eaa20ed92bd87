#pragma once
// Random choices that a seed gives again everywhere.

#include "sim/core/random.hpp"

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace podsim::test {

class Dice {
public:
  explicit Dice(std::uint64_t seed) : state_(mixed(0, seed)) {}

  double fraction() { return static_cast<double>(next() >> 11U) * 0x1p-53; }
  bool chance(double probability) { return fraction() < probability; }
  std::int64_t integer(std::int64_t least, std::int64_t most)
  {
    return least + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(most - least + 1));
  }
  template <class T> const T& one_of(const std::vector<T>& choices)
  {
    return choices[static_cast<std::size_t>(integer(0, static_cast<std::int64_t>(choices.size()) - 1))];
  }
  template <class T> T one_of(std::initializer_list<T> choices) { return one_of(std::vector<T>(choices)); }
  template <class T> void shuffle(std::vector<T>& all)
  {
    for (std::size_t i = all.size(); i > 1; --i)
      std::swap(all[i - 1], all[static_cast<std::size_t>(integer(0, static_cast<std::int64_t>(i) - 1))]);
  }

private:
  std::uint64_t next() { return state_ = mixed(state_, 1); }
  std::uint64_t state_;
};

} // namespace podsim::test
