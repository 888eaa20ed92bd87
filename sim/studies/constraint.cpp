#include "sim/studies/constraint.hpp"

#include "sim/core/errors.hpp"
#include "sim/core/units.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <stdexcept>

namespace podsim {
namespace {

// The number of base units in a text like "45 GB/s", and of which kind they are.
struct Measured {
  double value;
  int kind;
};

template <class Unit> void measure(const std::string& text, int kind, std::optional<Measured>& found)
{
  if (found)
    return;
  try {
    found = {parse_quantity<Unit>(text).value(), kind};
  } catch (const std::invalid_argument&) { // of another kind
  }
}

template <class... Unit> std::optional<Measured> measured_in(const std::string& text)
{
  std::optional<Measured> found;
  int kind = 0;
  (measure<Unit>(text, kind++, found), ...);
  return found;
}

std::optional<Measured> measured(const std::string& text)
{
  return measured_in<PerSecond<ByteUnit>, ByteUnit, PerSecond<FlopUnit>, PerSecond<OpUnit>, SecondUnit, WattUnit,
                     GridUnit>(text);
}

// Two ways to write one quantity may differ in the last bits of the number of base units: 0.079 kg and 79 g.
bool same(double x, double y)
{
  constexpr double rounding = 1e-12;
  return x == y || std::abs(x - y) <= rounding * std::max(std::abs(x), std::abs(y));
}

// Reads a condition and works it out on the way.
class Condition {
public:
  Condition(const std::string& text, const Lookup& lookup) : text_(text), lookup_(lookup) {}

  bool value()
  {
    const bool result = truth(either());
    skip_space();
    if (at_ < text_.size())
      fail("expected the end");
    return result;
  }

private:
  [[noreturn]] void fail(const std::string& complaint) const
  {
    throw std::invalid_argument(
        fmt::format("{}, found {}", complaint,
                    at_ < text_.size() ? fmt::format("\"{}\"", printable(text_.substr(at_))) : "the end"));
  }

  void skip_space() { at_ = std::min(text_.find_first_not_of(' ', at_), text_.size()); }

  static bool in_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.'; }

  bool take(const std::string& sign)
  {
    skip_space();
    if (text_.compare(at_, sign.size(), sign) != 0)
      return false;
    const std::size_t after = at_ + sign.size();
    if (in_name(sign.back()) && after < text_.size() && in_name(text_[after]))
      return false; // a longer word
    at_ = after;
    return true;
  }

  static bool truth(const Term& term)
  {
    if (const bool* flag = std::get_if<bool>(&term))
      return *flag;
    throw std::invalid_argument("expected a condition, which holds or does not; this is a value by itself");
  }

  static double number(const Term& term)
  {
    if (const double* value = std::get_if<double>(&term))
      return *value;
    if (const std::string* text = std::get_if<std::string>(&term)) {
      if (const auto quantity = measured(*text))
        return quantity->value;
      throw std::invalid_argument(fmt::format("\"{}\" is not a number to reckon with", printable(*text)));
    }
    throw std::invalid_argument("a condition is not a number to reckon with");
  }

  // All of a line is worked out, so that what is wrong in its rest is found as well.
  Term either()
  {
    Term left = both();
    while (take("or")) {
      const bool right = truth(both());
      left             = truth(left) || right;
    }
    return left;
  }

  Term both()
  {
    Term left = negated();
    while (take("and")) {
      const bool right = truth(negated());
      left             = truth(left) && right;
    }
    return left;
  }

  Term negated()
  {
    if (take("not"))
      return !truth(negated());
    return compared();
  }

  Term compared()
  {
    Term left = sum();
    for (const char* sign : {"==", "!=", "<=", ">=", "<", ">"})
      if (take(sign))
        return compare(sign, left, sum());
    return left;
  }

  static Term compare(const std::string& sign, const Term& left, const Term& right)
  {
    const auto* a       = std::get_if<std::string>(&left);
    const auto* b       = std::get_if<std::string>(&right);
    const bool equality = sign == "==" || sign == "!=";
    if (a && b) {
      const auto x = measured(*a);
      const auto y = measured(*b);
      if (equality && (*a == *b || !x || !y)) // as texts
        return (*a == *b) == (sign == "==");
      if (!x || !y || x->kind != y->kind)
        throw std::invalid_argument(
            fmt::format("\"{}\" and \"{}\" are not quantities of one kind", printable(*a), printable(*b)));
      return compare(sign, x->value, same(x->value, y->value) ? x->value : y->value);
    }
    if (left.index() == right.index() && equality)
      return (left == right) == (sign == "==");
    for (const std::string* text : {a, b})
      if (text && measured(*text))
        throw std::invalid_argument(fmt::format(
            "\"{}\" is compared with a number that has no unit; write it in quotes, like '10 GB/s'", printable(*text)));
    return compare(sign, number(left), number(right));
  }

  static bool compare(const std::string& sign, double x, double y)
  {
    return sign == "=="   ? x == y
           : sign == "!=" ? x != y
           : sign == "<=" ? x <= y
           : sign == ">=" ? x >= y
           : sign == "<"  ? x < y
                          : x > y;
  }

  Term sum()
  {
    Term left = term();
    for (;;) {
      if (take("+"))
        left = finite(number(left) + number(term()));
      else if (take("-"))
        left = finite(number(left) - number(term()));
      else
        return left;
    }
  }

  Term term()
  {
    Term left = factor();
    for (;;) {
      if (take("*"))
        left = finite(number(left) * number(factor()));
      else if (take("/"))
        left = finite(number(left) / divisor(factor()));
      else if (take("%"))
        left = std::fmod(number(left), divisor(factor()));
      else
        return left;
    }
  }

  static double finite(double value) // of what is not, every comparison would be false
  {
    if (!std::isfinite(value))
      throw std::invalid_argument("comes to a number beyond all bounds");
    return value;
  }

  static double divisor(const Term& term)
  {
    const double value = number(term);
    if (value == 0)
      throw std::invalid_argument("divides by 0");
    return value;
  }

  Term factor()
  {
    skip_space();
    if (take("-"))
      return -number(factor());
    if (take("(")) {
      Term inner = either();
      close();
      return inner;
    }
    if (take("product")) {
      if (!take("("))
        fail("expected ( after product");
      const Term shape = either();
      close();
      return product(shape);
    }
    if (take("'"))
      return quoted('\'');
    if (take("\""))
      return value_of(quoted('"'));
    double value         = 0;
    const auto [end, ec] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (ec == std::errc() && at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) == 0) {
      at_ = static_cast<std::size_t>(end - text_.data());
      return value;
    }
    return named();
  }

  std::string quoted(char quote)
  {
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string::npos)
      fail("a text without its closing quote");
    std::string inner = text_.substr(at_, end - at_);
    at_               = end + 1;
    return inner;
  }

  void close()
  {
    if (!take(")"))
      fail("expected )");
  }

  Term named()
  {
    std::size_t end = at_;
    while (end < text_.size() && in_name(text_[end]))
      ++end;
    if (end == at_)
      fail("expected a number, a name, a text in single quotes or (");
    Term value = value_of(text_.substr(at_, end - at_));
    at_        = end;
    return value;
  }

  Term value_of(const std::string& name) const
  {
    if (const auto value = lookup_(name))
      return *value;
    throw std::invalid_argument(
        fmt::format("\"{}\" is neither an axis nor a single value of the scenario", printable(name)));
  }

  static double product(const Term& shape)
  {
    const auto* text = std::get_if<std::string>(&shape);
    if (!text)
      return number(shape);
    double value = 1;
    for (const char *at = text->data(), *const end = at + text->size();;) {
      double factor         = 0;
      const auto [rest, ec] = std::from_chars(at, end, factor);
      if (ec != std::errc() || (rest != end && *rest != 'x'))
        throw std::invalid_argument(fmt::format("\"{}\" is not a shape like 12x16x16", printable(*text)));
      value *= factor;
      if (rest == end)
        return value;
      at = rest + 1;
    }
  }

  const std::string& text_;
  const Lookup& lookup_;
  std::size_t at_ = 0;
};

} // namespace

Term as_term(const std::string& text)
{
  double value         = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  // "nan" and "inf" are texts: as numbers they would compare without a word as nobody means it.
  return ec == std::errc() && end == text.data() + text.size() && std::isfinite(value) ? Term(value) : Term(text);
}

bool holds(const std::string& condition, const Lookup& lookup)
{
  return Condition(condition, lookup).value();
}

} // namespace podsim
