#pragma once
// Random numbers of our own choosing, so that a seed gives the same draw everywhere: a hash of (seed, what is drawn, of
// which thing), uniform in [0, 1). A machine that grows keeps the draws that it had.

#include <cstdint>

namespace podsim {

// A step of splitmix64 (Steele, Lea and Flood 2014).
constexpr std::uint64_t mixed(std::uint64_t hash, std::uint64_t value)
{
  std::uint64_t z = hash + value + 0x9e3779b97f4a7c15U;
  z               = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z               = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

constexpr double uniform(std::uint64_t seed, std::uint64_t what, std::uint64_t of)
{
  return static_cast<double>(mixed(mixed(mixed(0, seed), what), of) >> 11U) * 0x1p-53;
}

} // namespace podsim
