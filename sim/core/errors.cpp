#include "sim/core/errors.hpp"

#include "sim/core/utf8.hpp"

#include <algorithm>
#include <cerrno>
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

// How many letters are to be put in, taken out or replaced; two neighbours in the wrong order count as one slip. The
// table of Levenshtein's distance, three rows at a time.
std::size_t edit_distance(std::string_view a, std::string_view b)
{
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({row[j - 1] + 1, above[j] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

bool is_out_of_resources(int reason)
{
  return reason == EMFILE || reason == ENFILE || reason == EAGAIN || reason == ENOMEM;
}

std::string did_you_mean(std::string_view misspelt, const std::vector<std::string>& names)
{
  constexpr std::size_t longest = 64; // names are short; a long text is no misspelling of one
  if (misspelt.empty() || misspelt.size() > longest)
    return "";
  if (const std::vector<std::string> begun = begun_by(misspelt, names); !begun.empty())
    return fmt::format("; did you mean \"{}\"?", fmt::join(begun, "\" or \""));
  const std::string* best = nullptr;
  // A slip for each three letters: where half of a word is another, another word was meant. Of two names as near the
  // one that goes on where the given one ends.
  std::size_t nearest = 2 * std::max<std::size_t>(misspelt.size() / 3, 1) + 2;
  for (const std::string& name : names)
    if (const std::size_t d = 2 * edit_distance(misspelt, name) + (name.starts_with(misspelt) ? 0 : 1); d < nearest) {
      nearest = d;
      best    = &name;
    }
  if (!best && misspelt.size() > 2) // the beginning of a longer name
    for (const std::string& name : names)
      if (!best && name.starts_with(misspelt))
        best = &name;
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
