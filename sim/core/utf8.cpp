#include "sim/core/utf8.hpp"

namespace podsim {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd"; // U+FFFD

// The character at the start of a text, or an empty one where the bytes are none: cut off, overlong, a surrogate, or
// beyond U+10FFFF.
Character first(std::string_view text)
{
  const auto byte          = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80)
    return {lead, text.substr(0, 1)};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length)
    return {};
  char32_t code = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80)
      return {};
    code = code << 6U | (byte(i) & 0x3fU);
  }
  const bool overlong  = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (overlong || surrogate || code > 0x10ffff)
    return {};
  return {code, text.substr(0, length)};
}

} // namespace

std::vector<Character> characters(std::string_view text)
{
  std::vector<Character> all;
  while (!text.empty()) {
    const Character one = first(text);
    all.push_back(one.bytes.empty() ? Character{0xfffd, replacement, false} : one);
    text.remove_prefix(one.bytes.empty() ? 1 : one.bytes.size());
  }
  return all;
}

bool is_control(char32_t code)
{
  const auto within = [&](char32_t first_code, char32_t last_code) { return code >= first_code && code <= last_code; };
  return code < 0x20 || within(0x7f, 0x9f) || code == 0x61c || within(0x200e, 0x200f) || within(0x2028, 0x202e) ||
         within(0x2066, 0x2069);
}

std::string cut(std::string_view text, std::size_t most)
{
  if (text.size() <= most)
    return std::string(text);
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80)
    --most;
  return std::string(text.substr(0, most));
}

} // namespace podsim
