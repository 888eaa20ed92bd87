#pragma once
// Text taken apart into characters, for writers whose formats are strict about what they hold.

#include <string>
#include <string_view>
#include <vector>

namespace podsim {

struct Character {
  char32_t code;
  std::string_view bytes;
};

// The characters of UTF-8; each byte that is none is U+FFFD.
std::vector<Character> characters(std::string_view text);

// At most so many bytes, cut before a character.
std::string cut(std::string_view text, std::size_t most);

} // namespace podsim
