#include "sim/core/units.hpp"

#include "sim/core/errors.hpp"
#include "sim/core/unit_hint.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <span>
#include <stdexcept>

namespace podsim {
namespace {

struct Scale {
  std::string_view name;
  double factor;
};

constexpr std::array<Scale, 13> prefixes{{{"", 1},
                                          {"k", 1e3},
                                          {"M", 1e6},
                                          {"G", 1e9},
                                          {"T", 1e12},
                                          {"P", 1e15},
                                          {"E", 1e18},
                                          {"Ki", 0x1p10},
                                          {"Mi", 0x1p20},
                                          {"Gi", 0x1p30},
                                          {"Ti", 0x1p40},
                                          {"Pi", 0x1p50},
                                          {"Ei", 0x1p60}}};

// How a unit is written: with any prefix, or, as times are, from a list of its own.
template <class Unit> struct Spelling;
template <> struct Spelling<SecondUnit> {
  static constexpr UnitFamily family        = UnitFamily::time;
  static constexpr bool prefixed            = false;
  static constexpr std::string_view example = "1.5 us";
  static constexpr std::array<Scale, 7> names{
      {{"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"ps", 1e-12}, {"min", 60}, {"h", 3600}}};
};
template <> struct Spelling<ByteUnit> {
  static constexpr UnitFamily family        = UnitFamily::size;
  static constexpr bool prefixed            = true;
  static constexpr std::string_view example = "32 GiB";
  static constexpr std::array<Scale, 6> names{
      {{"B", 1}, {"byte", 1}, {"bytes", 1}, {"b", 0.125}, {"bit", 0.125}, {"bits", 0.125}}};
};
template <> struct Spelling<PerSecond<ByteUnit>> {
  static constexpr UnitFamily family        = UnitFamily::byte_rate;
  static constexpr bool prefixed            = true;
  static constexpr std::string_view example = "45 GB/s";
  static constexpr std::array<Scale, 8> names{{{"B/s", 1},
                                               {"Bps", 1},
                                               {"byte/s", 1},
                                               {"bytes/s", 1},
                                               {"b/s", 0.125},
                                               {"bps", 0.125},
                                               {"bit/s", 0.125},
                                               {"bits/s", 0.125}}};
};
template <> struct Spelling<PerSecond<FlopUnit>> {
  static constexpr UnitFamily family        = UnitFamily::flop_rate;
  static constexpr bool prefixed            = true;
  static constexpr std::string_view example = "275 TFLOP/s";
  static constexpr std::array<Scale, 1> names{{{"FLOP/s", 1}}};
};
template <> struct Spelling<PerSecond<OpUnit>> {
  static constexpr UnitFamily family        = UnitFamily::op_rate;
  static constexpr bool prefixed            = true;
  static constexpr std::string_view example = "4.3 TOP/s";
  static constexpr std::array<Scale, 1> names{{{"OP/s", 1}}};
};
template <> struct Spelling<WattUnit> {
  static constexpr UnitFamily family        = UnitFamily::power;
  static constexpr bool prefixed            = true;
  static constexpr std::string_view example = "378.5 W";
  static constexpr std::array<Scale, 1> names{{{"W", 1}}};
};
template <> struct Spelling<GridUnit> {
  static constexpr UnitFamily family        = UnitFamily::grid;
  static constexpr bool prefixed            = false;
  static constexpr std::string_view example = "79 g/kWh";
  static constexpr std::array<Scale, 4> names{{{"t/MWh", 1}, {"kg/kWh", 1}, {"kg/MWh", 1e-3}, {"g/kWh", 1e-3}}};
};

std::optional<double> factor_of(std::string_view unit, std::span<const Scale> names, bool prefixed)
{
  for (const Scale& name : names)
    for (const Scale& prefix : prefixes) {
      if (!prefixed && !prefix.name.empty())
        break;
      if (unit.size() == prefix.name.size() + name.name.size() && unit.starts_with(prefix.name) &&
          unit.ends_with(name.name))
        return prefix.factor * name.factor;
    }
  return std::nullopt;
}

struct Shown {
  double scale;
  const char* unit;
};

// The last row whose scale the value reaches; rows go from small to large.
std::string format_in(double value, std::span<const Shown> rows)
{
  Shown best = rows.front();
  for (const Shown& row : rows)
    if (std::abs(value) >= row.scale)
      best = row;
  const double scaled = value / best.scale;
  const int digits    = std::abs(scaled) < 10 ? 2 : std::abs(scaled) < 100 ? 1 : 0;
  return fmt::format("{:.{}f} {}", scaled, digits, best.unit);
}

} // namespace

template <class Unit> Quantity<Unit> parse_quantity(std::string_view text)
{
  double number        = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc() || !std::isfinite(number))
    throw std::invalid_argument(fmt::format("not a number with a unit; write it like \"{}\"", example<Unit>()));
  std::string_view unit         = text.substr(static_cast<std::size_t>(end - text.data()));
  const std::string_view digits = text.substr(0, text.size() - unit.size());
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  if (unit.empty())
    throw std::invalid_argument(
        fmt::format("a number without a unit; write it like {}", with_unit<Unit>(std::string(digits))));
  const auto factor = factor_of(unit, Spelling<Unit>::names, Spelling<Unit>::prefixed);
  if (!factor)
    throw std::invalid_argument(
        fmt::format("unknown unit \"{}\"; {}", printable(unit),
                    unit_hint(std::string(digits), unit, Spelling<Unit>::family, Spelling<Unit>::example)));
  return Quantity<Unit>(number * *factor);
}

template <class Unit> std::string with_unit(const std::string& number)
{
  const std::string_view example = Spelling<Unit>::example;
  std::string_view unit          = example.substr(example.find(' ') + 1);
  double value                   = 0;
  std::from_chars(number.data(), number.data() + number.size(), value);
  constexpr double large = 1e5; // then the number is of plain bytes, FLOPs...
  if (Spelling<Unit>::prefixed && std::abs(value) >= large)
    unit = Spelling<Unit>::names.front().name;
  return unit_examples(number, unit);
}

template <class Unit> std::string_view example()
{
  return Spelling<Unit>::example;
}

template Seconds parse_quantity<SecondUnit>(std::string_view);
template Bytes parse_quantity<ByteUnit>(std::string_view);
template BytesPerSecond parse_quantity<PerSecond<ByteUnit>>(std::string_view);
template FlopsPerSecond parse_quantity<PerSecond<FlopUnit>>(std::string_view);
template OpsPerSecond parse_quantity<PerSecond<OpUnit>>(std::string_view);
template Watts parse_quantity<WattUnit>(std::string_view);
template GridIntensity parse_quantity<GridUnit>(std::string_view);
template std::string_view example<SecondUnit>();
template std::string with_unit<SecondUnit>(const std::string&);
template std::string_view example<ByteUnit>();
template std::string with_unit<ByteUnit>(const std::string&);
template std::string_view example<PerSecond<ByteUnit>>();
template std::string with_unit<PerSecond<ByteUnit>>(const std::string&);
template std::string_view example<PerSecond<FlopUnit>>();
template std::string with_unit<PerSecond<FlopUnit>>(const std::string&);
template std::string_view example<PerSecond<OpUnit>>();
template std::string with_unit<PerSecond<OpUnit>>(const std::string&);
template std::string_view example<WattUnit>();
template std::string with_unit<WattUnit>(const std::string&);
template std::string_view example<GridUnit>();
template std::string with_unit<GridUnit>(const std::string&);

std::string format(Seconds time)
{
  static constexpr std::array<Shown, 4> rows{{{1e-9, "ns"}, {1e-6, "us"}, {1e-3, "ms"}, {1, "s"}}};
  return time == Seconds(0) ? "0 s" : format_in(time.value(), rows);
}

std::string format(Bytes size)
{
  static constexpr std::array<Shown, 5> rows{
      {{1, "B"}, {0x1p10, "KiB"}, {0x1p20, "MiB"}, {0x1p30, "GiB"}, {0x1p40, "TiB"}}};
  return size == Bytes(0) ? "0 B" : format_in(size.value(), rows);
}

std::string format(BytesPerSecond rate)
{
  static constexpr std::array<Shown, 5> rows{{{1, "B/s"}, {1e3, "kB/s"}, {1e6, "MB/s"}, {1e9, "GB/s"}, {1e12, "TB/s"}}};
  return format_in(rate.value(), rows);
}

} // namespace podsim
