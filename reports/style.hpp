#pragma once

#include "reports/page.hpp"

namespace podsim {

// Bold and dim text where a person reads it on a terminal; nothing where colour is not wanted (NO_COLOR) or
// nobody looks (a pipe, a file).
class Style {
public:
  explicit Style(bool coloured) : coloured_(coloured) {}
  Page bold(const Page& text) const { return wrapped("\033[1m", text); }
  Page dim(const Page& text) const { return wrapped("\033[2m", text); }

private:
  Page wrapped(const char* code, const Page& text) const { return coloured_ ? code + text + "\033[0m" : text; }
  bool coloured_;
};

} // namespace podsim
