#include "sim/core/errors.hpp"

#include "sim/core/utf8.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace podsim {
namespace {

// Levenshtein's distance, one row of the table at a time.
std::size_t edit_distance(std::string_view a, std::string_view b)
{
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0]               = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal                   = row[j];
      row[j]                     = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

} // namespace

std::string did_you_mean(std::string_view misspelt, const std::vector<std::string>& names)
{
  constexpr std::size_t longest = 64; // names are short; a long text is no misspelling of one
  if (misspelt.size() > longest)
    return "";
  const std::string* best = nullptr;
  std::size_t distance    = std::max<std::size_t>(misspelt.size() / 2, 1) + 1;
  for (const std::string& name : names)
    if (const std::size_t d = edit_distance(misspelt, name); d < distance) {
      distance = d;
      best     = &name;
    }
  return best ? fmt::format("; did you mean \"{}\"?", *best) : "";
}

std::string one_line(std::string_view text)
{
  std::string out;
  for (const Character& character : characters(text)) {
    if (!character.valid)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
    else if (is_control(character.code))
      out += character.code < 0x80 ? fmt::format("\\x{:02x}", static_cast<unsigned>(character.code))
                                   : fmt::format("\\u{:04x}", static_cast<unsigned>(character.code));
    else
      out += character.bytes;
    text.remove_prefix(character.valid ? character.bytes.size() : 1);
  }
  return out;
}

std::string printable(std::string_view text)
{
  constexpr std::size_t longest = 60;
  if (text.size() <= longest)
    return one_line(text);
  std::size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80) // not within a character of UTF-8
    --end;
  return one_line(text.substr(0, end)) + "...";
}

} // namespace podsim
