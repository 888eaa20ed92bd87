#include "sim/core/number_hint.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace podsim {
namespace {

bool is_digit(char c)
{
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

std::string without_spaces(std::string_view text)
{
  std::string out;
  for (const char c : text)
    if (std::isspace(static_cast<unsigned char>(c)) == 0)
      out += c;
  return out;
}

// "1,048,576", "1_024" and "1'024": groups of three digits.
std::string without_separators(const std::string& text)
{
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digits = [&](std::size_t from) {
      std::size_t end = from;
      while (end < text.size() && is_digit(text[end]))
        ++end;
      return end - from;
    };
    const bool separates = (text[i] == ',' || text[i] == '_' || text[i] == '\'') && i > 0 && digits(i + 1) == 3;
    if (!separates)
      out += text[i];
  }
  return out;
}

std::string spelt(double value)
{
  constexpr double longest = 1e9;
  if (value == std::floor(value) && std::abs(value) < longest)
    return fmt::format("{:.0f}", value);
  std::string text = fmt::format("{:g}", value);
  if (const auto plus = text.find("e+"); plus != std::string::npos)
    text.erase(plus + 1, text[plus + 2] == '0' ? 2 : 1);
  return text;
}

// Times a power of ten, which large numbers keep as an exponent: 15e12.
std::string scaled(double number, double factor)
{
  constexpr double large = 1e9;
  return number * factor < large ? spelt(number * factor) : fmt::format("{}e{:.0f}", spelt(number), std::log10(factor));
}

struct Suffix {
  std::string_view name;
  double decimal, binary; // 0: not meant so
};
constexpr std::array<Suffix, 16> suffixes{{{"k", 1e3, 0x1p10},
                                           {"K", 1e3, 0x1p10},
                                           {"m", 1e6, 0x1p20},
                                           {"M", 1e6, 0x1p20},
                                           {"Mio", 1e6, 0},
                                           {"mio", 1e6, 0},
                                           {"b", 1e9, 0},
                                           {"B", 1e9, 0},
                                           {"bn", 1e9, 0},
                                           {"g", 1e9, 0},
                                           {"G", 1e9, 0},
                                           {"t", 1e12, 0},
                                           {"T", 1e12, 0},
                                           {"Ki", 0, 0x1p10},
                                           {"Mi", 0, 0x1p20},
                                           {"Gi", 0, 0x1p30}}};

std::string hint_of_suffix(double number, std::string_view name, NumberKind kind)
{
  for (const Suffix& suffix : suffixes) {
    if (suffix.name != name)
      continue;
    if (suffix.decimal > 0 && suffix.binary > 0 && kind == NumberKind::whole)
      return fmt::format("; write {} ({} times {:.0f}) or {}", spelt(number * suffix.binary), spelt(number),
                         suffix.binary, spelt(number * suffix.decimal));
    return fmt::format("; write it as {}",
                       suffix.decimal > 0 ? scaled(number, suffix.decimal) : spelt(number * suffix.binary));
  }
  return "";
}

} // namespace

std::optional<double> as_number(std::string_view text)
{
  if (text.starts_with('+'))
    text.remove_prefix(1);
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || !(is_digit(digits[0]) || (digits[0] == '.' && digits.size() > 1 && is_digit(digits[1]))))
    return std::nullopt; // "inf", "nan", "-"
  double value         = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::string as_shape(std::string_view text)
{
  std::string shape;
  const std::string tight = without_spaces(text);
  for (std::size_t i = 0; i < tight.size(); ++i) {
    const bool cross = tight.compare(i, 2, "\u00d7") == 0;
    if (is_digit(tight[i]))
      shape += tight[i];
    else if (cross || tight[i] == '*' || tight[i] == 'x' || tight[i] == 'X')
      shape += 'x';
    else
      return "";
    i += cross ? 1 : 0;
  }
  const bool parted = shape.find('x') != std::string::npos && shape.find("xx") == std::string::npos;
  return parted && is_digit(shape.front()) && is_digit(shape.back()) ? shape : "";
}

std::string number_hint(const std::string& text, NumberKind kind)
{
  constexpr std::size_t longest = 40;
  if (text.size() > longest)
    return "";
  const std::string tight = without_separators(without_spaces(text));
  if (const auto number = as_number(tight))
    return fmt::format("; write it without quotes: {}", spelt(*number));
  if (const std::string shape = as_shape(tight); !shape.empty()) {
    double product = 1;
    for (std::size_t at = 0; at < shape.size(); at = std::min(shape.find('x', at), shape.size() - 1) + 1)
      product *= std::strtod(shape.c_str() + at, nullptr);
    return fmt::format("; write it as {}", spelt(product));
  }
  double number        = 0;
  const auto [end, ec] = std::from_chars(tight.data(), tight.data() + tight.size(), number);
  if (ec != std::errc() || !std::isfinite(number))
    return "";
  const std::string_view rest(end, static_cast<std::size_t>(tight.data() + tight.size() - end));
  if (rest == "%" && kind != NumberKind::whole)
    return fmt::format("; write it as {}", spelt(number / 100));
  return hint_of_suffix(number, rest, kind);
}

} // namespace podsim
