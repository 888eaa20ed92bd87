#pragma once
// Text taken apart into characters, for writers whose formats are strict about what they hold, and for the doors
// through which other people's text reaches a terminal or the log of a CI.

#include <string>
#include <string_view>
#include <vector>

namespace podsim {

struct Character {
  char32_t code;
  std::string_view bytes;
  bool valid = true; // false: stands for one byte that is no character
};

// The characters of UTF-8; each byte that is none is U+FFFD.
std::vector<Character> characters(std::string_view text);

// Whether it could do something else than show: a control of C0 or C1, one that turns the direction of writing, or an
// end of a line or paragraph.
bool is_control(char32_t code);

// At most so many bytes, cut before a character.
std::string cut(std::string_view text, std::size_t most);

} // namespace podsim
