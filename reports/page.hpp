#pragma once
// Text for a person, on its way to a terminal or the log of a CI. Its ends of lines and its bold print are podsim's
// own, because other people's text (names of scenarios, of files, what a database holds) gets onto a page only through
// lay(), which makes it fit for one line:
//
//     page += lay("  {}: {:.1f} %\n", style.bold(lay("{}", scenario.name)), share);
//
// A std::string cannot be added to a page by itself, whoever it came from.

#include "sim/core/errors.hpp"

#include <fmt/format.h>
#include <string>
#include <type_traits>
#include <vector>

namespace podsim {

class Page {
public:
  Page() = default;
  Page(const char* own) : text_(own) {} // a literal
  Page(const std::string&) = delete;

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  Page& operator+=(const Page& more)
  {
    text_ += more.text_;
    return *this;
  }
  friend Page operator+(Page first, const Page& more) { return first += more; }

  // Without the blanks at its end.
  Page trimmed() const
  {
    Page page;
    page.text_ = text_.substr(0, text_.find_last_not_of(' ') + 1);
    return page;
  }

  template <class... Parts> friend Page lay_parts(fmt::string_view form, const Parts&... parts);

private:
  std::string text_;
};

namespace page_part {

inline std::string fit(const std::string& foreign)
{
  return one_line(foreign);
}
inline const std::string& fit(const Page& own)
{
  return own.text();
}
inline const char* fit(const char* own)
{
  return own;
}
template <class Number>
requires std::is_arithmetic_v<Number> Number fit(Number number)
{
  return number;
}
template <class Part> using Fit = std::decay_t<decltype(fit(std::declval<const Part&>()))>;

} // namespace page_part

template <class... Parts> Page lay_parts(fmt::string_view form, const Parts&... parts)
{
  Page page;
  page.text_ = fmt::vformat(form, fmt::make_format_args(parts...));
  return page;
}

// As fmt::format. Texts are cleaned; numbers and what is a page already stay as they are.
template <class... Parts> Page lay(fmt::format_string<page_part::Fit<Parts>...> form, const Parts&... parts)
{
  return lay_parts(fmt::string_view(form), page_part::fit(parts)...);
}

// "a, b and c" from foreign texts.
inline std::string joined(const std::vector<std::string>& texts, const char* separator)
{
  std::string all;
  for (const std::string& text : texts)
    all += (&text == &texts.front() ? "" : separator) + text;
  return all;
}

} // namespace podsim
