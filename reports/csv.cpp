#include "reports/csv.hpp"

#include "sim/core/utf8.hpp"

#include <charconv>
#include <fmt/format.h>

namespace podsim {
namespace {

bool is_number(std::string_view field)
{
  if (field.starts_with('+') || field.starts_with('-'))
    field.remove_prefix(1);
  if (field.find_first_of("0123456789.") != 0) // nor a word, "nan" or "inf"
    return false;
  double value            = 0;
  const char* const end   = field.data() + field.size();
  const auto [rest, good] = std::from_chars(field.data(), end, value);
  return good == std::errc() && rest == end;
}

// What a spreadsheet would take for a formula and run. (OWASP, CSV Injection; the wide signs are those of East Asian
// keyboards.)
bool is_formula(std::string_view field)
{
  for (const std::string_view sign : {"=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"})
    if (field.starts_with(sign))
      return !is_number(field);
  return false;
}

// What is neither a sign nor white space is shown as what it is.
std::string shown(std::string_view field)
{
  std::string out;
  for (const Character& character : characters(field))
    if (is_control(character.code) && character.code != U'\n' && character.code != U'\r' && character.code != U'\t')
      out += fmt::format(fmt::runtime(character.code < 0x80 ? "\\x{:02x}" : "\\u{:04x}"),
                         static_cast<unsigned>(character.code));
    else
      out += character.bytes;
  return out;
}

} // namespace

std::string csv_line(const std::vector<std::string>& fields)
{
  std::string line;
  for (const std::string& field : fields) {
    line += &field == &fields.front() ? "" : ",";
    const std::string text = (is_formula(field) ? "'" : "") + shown(field);
    if (text.find_first_of(",\"\r\n") == std::string::npos) {
      line += text;
      continue;
    }
    line += '"';
    for (const char c : text)
      line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\n";
}

} // namespace podsim
