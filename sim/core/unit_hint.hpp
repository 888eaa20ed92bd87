#pragma once
// How a quantity whose unit is misspelt was probably meant. The number is kept, and bits stay bits: where a spelling
// does not say which of bits and bytes it means ("gb/s"), both are shown.

#include <cstdint>
#include <string>
#include <string_view>

namespace podsim {

enum class UnitFamily : std::uint8_t { time, size, byte_rate, flop_rate, op_rate, power, grid };

// `did you mean "47.43 Gb/s"?`, or where the unit is like none `write it like "45 GB/s"`.
std::string unit_hint(const std::string& number, std::string_view unit, UnitFamily family, std::string_view example);

// `"47.43 GB/s" or "47.43 Gb/s"` of a unit in bytes, else `"47.43 us"`.
std::string unit_examples(const std::string& number, std::string_view unit);

} // namespace podsim
