#include "sim/core/errors.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>
#include <utility>

namespace podsim {
namespace {

std::string first_of(const std::vector<std::string>& lines)
{
  const std::size_t more = lines.size() - 1;
  return more == 0 ? lines.front()
                   : fmt::format("{} (and {} more mistake{})", lines.front(), more, more == 1 ? "" : "s");
}

// The names of which the misspelt one is the beginning, where there are few.
std::vector<std::string> begun_by(std::string_view misspelt, const std::vector<std::string>& names)
{
  constexpr std::size_t least = 3;
  constexpr std::size_t most  = 4;
  std::vector<std::string> all;
  for (const std::string& name : names)
    if (misspelt.size() >= least && name.starts_with(misspelt))
      all.push_back(name);
  if (all.size() > most)
    all.clear();
  return all;
}

} // namespace

InputError::InputError(const std::string& line)
    : std::runtime_error(line), lines_(std::make_shared<const std::vector<std::string>>(1, line))
{
}

InputError::InputError(std::vector<std::string> lines)
    : std::runtime_error(first_of(lines)), lines_(std::make_shared<const std::vector<std::string>>(std::move(lines)))
{
}

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

std::string did_you_mean(std::string_view misspelt, const std::vector<std::string>& names)
{
  constexpr std::size_t longest = 64; // names are short; a long text is no misspelling of one
  if (misspelt.size() > longest)
    return "";
  if (const std::vector<std::string> begun = begun_by(misspelt, names); !begun.empty())
    return fmt::format("; did you mean \"{}\"?", fmt::join(begun, "\" or \""));
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
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
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
