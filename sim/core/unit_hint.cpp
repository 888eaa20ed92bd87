#include "sim/core/unit_hint.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>
#include <vector>

namespace podsim {
namespace {

std::string lower(std::string_view text)
{
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string without(std::string text, std::string_view part)
{
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part))
    text.erase(at, part.size());
  return text;
}

struct Prefixed {
  std::string prefix;  // as it must be written
  bool careful = true; // it was written so
  std::string rest;
};

// "Gbs" -> G, "bs"; "gigabits" -> G, "bits"; "GiB" -> Gi, "B".
Prefixed split(const std::string& unit)
{
  using Word = std::pair<std::string_view, std::string_view>;
  static constexpr std::array<Word, 6> words{
      {{"kilo", "k"}, {"mega", "M"}, {"giga", "G"}, {"tera", "T"}, {"peta", "P"}, {"exa", "E"}}};
  const std::string small = lower(unit);
  for (const auto& [word, prefix] : words)
    if (small.starts_with(word))
      return {std::string(prefix), true, unit.substr(word.size())};
  for (const auto& [word, prefix] : words)
    if (!small.empty() && small[0] == lower(prefix)[0]) {
      const bool careful = unit[0] == prefix[0];
      if (small.size() > 2 && small[1] == 'i' && small[2] == 'b')
        return {fmt::format("{}i", prefix == "k" ? "K" : prefix), unit[1] == 'i', unit.substr(2)};
      return {std::string(prefix), careful, unit.substr(1)};
    }
  return {"", true, unit};
}

// Bits and bytes differ in a letter's case, which counts only where the writer minded the case.
std::vector<std::string> bits_or_bytes(const std::string& unit, const std::string& suffix)
{
  const Prefixed parts    = split(unit);
  const std::string small = lower(parts.rest);
  const std::string bytes = parts.prefix + "B" + suffix;
  const std::string bits  = parts.prefix + "b" + suffix;
  if (small.starts_with("byte") || (parts.rest.starts_with("B") && !small.starts_with("bit")))
    return {bytes};
  if (small.starts_with("bit") || (parts.rest.starts_with("b") && parts.careful))
    return {bits};
  if (parts.rest.starts_with("b") || (!parts.prefix.empty() && (small.empty() || small[0] == '/' || small == "ps")))
    return {bits, bytes};
  return {};
}

std::vector<std::string> counted(const std::string& unit, std::string_view begin, const std::string& spelling)
{
  const Prefixed parts = split(unit);
  return lower(parts.rest).starts_with(begin) ? std::vector<std::string>{parts.prefix + spelling}
                                              : std::vector<std::string>{};
}

std::vector<std::string> times(const std::string& unit)
{
  const std::string small = lower(unit);
  if (small == "\u00b5s" || small == "\u03bcs" || small.starts_with("us") || small.starts_with("micro"))
    return {"us"};
  for (const auto& [begin, name] : std::initializer_list<std::pair<std::string_view, const char*>>{{"msec", "ms"},
                                                                                                   {"milli", "ms"},
                                                                                                   {"nsec", "ns"},
                                                                                                   {"nano", "ns"},
                                                                                                   {"sec", "s"},
                                                                                                   {"hour", "h"},
                                                                                                   {"hr", "h"},
                                                                                                   {"min", "min"},
                                                                                                   {"ms", "ms"},
                                                                                                   {"ns", "ns"},
                                                                                                   {"ps", "ps"},
                                                                                                   {"s", "s"}})
    if (small.starts_with(begin))
      return {name};
  return {};
}

std::vector<std::string> grids(const std::string& unit)
{
  std::string small = lower(unit);
  for (const char* part : {"co2eq", "co2e", "co2", "-", "_"})
    small = without(small, part);
  for (const char* name : {"t/MWh", "kg/kWh", "kg/MWh", "g/kWh"})
    if (small == lower(name))
      return {name};
  return {};
}

std::vector<std::string> meant(const std::string& unit, UnitFamily family)
{
  switch (family) {
  case UnitFamily::time:
    return times(unit);
  case UnitFamily::size:
    return bits_or_bytes(unit, "");
  case UnitFamily::byte_rate:
    return bits_or_bytes(unit, "/s");
  case UnitFamily::flop_rate:
    return counted(unit, "f", "FLOP/s");
  case UnitFamily::op_rate:
    return counted(unit, "op", "OP/s");
  case UnitFamily::power: // "mW" is a thousandth and no MW
    return unit.starts_with("m") ? std::vector<std::string>{} : counted(unit, "w", "W");
  case UnitFamily::grid:
    return grids(unit);
  }
  return {};
}

} // namespace

std::string unit_hint(const std::string& number, std::string_view unit, UnitFamily family, std::string_view example)
{
  constexpr std::size_t longest = 20;
  if (unit.size() <= longest && number.size() <= longest) {
    const std::vector<std::string> units = meant(without(std::string(unit), " "), family);
    if (units.size() == 1)
      return fmt::format("did you mean \"{} {}\"?", number, units[0]);
    if (units.size() == 2)
      return fmt::format("did you mean \"{} {}\" (bits) or \"{} {}\" (bytes)?", number, units[0], number, units[1]);
  }
  return fmt::format("write it like \"{}\"", example);
}

std::string unit_examples(const std::string& number, std::string_view unit)
{
  const auto byte = unit.find('B');
  if (byte == std::string_view::npos || !unit.ends_with("/s"))
    return fmt::format("\"{} {}\"", number, unit);
  std::string bits(unit);
  bits[byte] = 'b';
  return fmt::format("\"{} {}\" or \"{} {}\"", number, unit, number, bits);
}

} // namespace podsim
