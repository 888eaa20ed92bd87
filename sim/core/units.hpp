#pragma once
// Quantities are types: a Quantity<Unit> holds a double in base units (seconds, bytes, FLOPs...), and
// only combinations that mean something compile. In JSON a quantity is text that carries its unit
// ("45 GB/s"); parse_quantity() is the one place that reads it.

#include <compare>
#include <string>
#include <string_view>

namespace podsim {

template <class Unit> class Quantity {
public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double base_units) : value_(base_units) {}
  constexpr double value() const { return value_; }

  constexpr Quantity& operator+=(Quantity other)
  {
    value_ += other.value_;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value_ + b.value_); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value_ - b.value_); }
  friend constexpr Quantity operator*(Quantity a, double b) { return Quantity(a.value_ * b); }
  friend constexpr Quantity operator*(double a, Quantity b) { return Quantity(a * b.value_); }
  friend constexpr Quantity operator/(Quantity a, double b) { return Quantity(a.value_ / b); }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value_ / b.value_; }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;

private:
  double value_ = 0;
};

struct SecondUnit;
struct ByteUnit;
struct FlopUnit; // a multiply and an add count as two
struct OpUnit;   // one operation of a vector unit on one element
struct WattUnit;
struct GridUnit; // CO2 equivalents for each unit of electric energy; the base unit is t/MWh
template <class Unit> struct PerSecond;

using Seconds        = Quantity<SecondUnit>;
using Bytes          = Quantity<ByteUnit>;
using Flops          = Quantity<FlopUnit>;
using Ops            = Quantity<OpUnit>;
using BytesPerSecond = Quantity<PerSecond<ByteUnit>>;
using FlopsPerSecond = Quantity<PerSecond<FlopUnit>>;
using OpsPerSecond   = Quantity<PerSecond<OpUnit>>;
using Watts          = Quantity<WattUnit>;
using GridIntensity  = Quantity<GridUnit>;

template <class Unit> constexpr Seconds operator/(Quantity<Unit> amount, Quantity<PerSecond<Unit>> rate)
{
  return Seconds(amount.value() / rate.value());
}
template <class Unit> constexpr Quantity<PerSecond<Unit>> operator/(Quantity<Unit> amount, Seconds time)
{
  return Quantity<PerSecond<Unit>>(amount.value() / time.value());
}
// "45 GB/s" -> 45e9 bytes a second. SI prefixes are powers of 1000, "Ki", "Mi"... powers of 1024; "B" is
// a byte, "b" a bit; Gbps, Gbit/s, GBps and Gbyte/s are read as well. Throws std::invalid_argument, saying what is
// wrong, on anything else (a bare number, an unknown unit, a unit of another kind). Defined for the quantities named
// above.
template <class Unit> Quantity<Unit> parse_quantity(std::string_view text);

// An example of the quantity as JSON writes it, for messages: "45 GB/s".
template <class Unit> std::string_view example();

// A number that somebody wrote, with the example's unit, for messages: "47.43 GB/s" or "47.43 Gb/s".
template <class Unit> std::string with_unit(const std::string& number);

// For people: three significant digits and a fitting prefix ("31.3 GiB", "42.8 GB/s", "17.4 ms").
std::string format(Seconds time);
std::string format(Bytes size);
std::string format(BytesPerSecond rate);

} // namespace podsim
