#pragma once
// Numbers that people write as texts ("128k", "50 %", "12*16*16"), and how a file wants them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace podsim {

// A number in digits, as people write it: also ".8", "2." and "+5", which are not JSON.
std::optional<double> as_number(std::string_view text);

enum class NumberKind : std::uint8_t { any, fraction, whole };

// `; write it as 0.5` for a text that holds a number, or "". Where k may be 1000 or 1024, both are shown.
std::string number_hint(const std::string& text, NumberKind kind);

// "12*16*16", "12 X 16 X 16" -> "12x16x16"; "" for what is no product of whole numbers.
std::string as_shape(std::string_view text);

} // namespace podsim
