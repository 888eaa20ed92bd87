#pragma once

#include <string>

namespace podsim {

// Bold and dim text where a person reads it on a terminal; nothing where colour is not wanted (NO_COLOR) or
// nobody looks (a pipe, a file).
class Style {
public:
  explicit Style(bool coloured) : coloured_(coloured) {}
  std::string bold(const std::string& text) const { return wrapped("1", text); }
  std::string dim(const std::string& text) const { return wrapped("2", text); }

private:
  std::string wrapped(const char* code, const std::string& text) const
  {
    return coloured_ ? "\033[" + std::string(code) + "m" + text + "\033[0m" : text;
  }
  bool coloured_;
};

} // namespace podsim
