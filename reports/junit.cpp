#include "reports/junit.hpp"

#include "sim/core/utf8.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace podsim {
namespace {

std::string property(const std::string& name, const std::string& value)
{
  return fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", name, xml_escaped(value));
}

std::string test_case(const GateRow& row, const Gate& gate)
{
  const std::string head =
      fmt::format("    <testcase classname=\"podsim.check\" name=\"{}\"", xml_escaped(row.scenario));
  const std::string lines = xml_escaped(fmt::format("{}", fmt::join(explanation(row, gate), "\n")));
  if (row.level() == Level::none)
    return head + "/>\n";
  if (row.level() == Level::warning)
    return head + fmt::format(">\n      <system-out>warning: {}</system-out>\n    </testcase>\n", lines);
  const char* tag = row.status == RowStatus::failed ? "error" : "failure";
  return head + fmt::format(">\n      <{0} type=\"{1}\" message=\"{2}\">{3}</{0}>\n    </testcase>\n", tag,
                            xml_escaped(row.failure ? word(*row.failure) : status_text(row.status)),
                            xml_escaped(row.reason.empty() ? status_text(row.status) : row.reason), lines);
}

} // namespace

std::string xml_escaped(const std::string& text)
{
  std::string out;
  for (const Character& character : characters(text)) {
    const char32_t code = character.code;
    if (code == U'&')
      out += "&amp;";
    else if (code == U'<')
      out += "&lt;";
    else if (code == U'>')
      out += "&gt;";
    else if (code == U'"')
      out += "&quot;";
    else if (code == U'\n' || code == U'\t' || code == U'\r')
      out += fmt::format("&#{};", static_cast<unsigned>(code)); // or an attribute would hold a space
    else if (code < 0x20 || code == 0xfffe || code == 0xffff)
      out += "\xef\xbf\xbd";
    else
      out += character.bytes;
  }
  return out;
}

std::string to_junit(const Gate& gate)
{
  const auto count = [&](bool errors) {
    return std::count_if(gate.rows.begin(), gate.rows.end(), [&](const GateRow& row) {
      return row.level() == Level::error && (row.status == RowStatus::failed) == errors;
    });
  };
  const std::string counts =
      fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", gate.rows.size(), count(false), count(true));
  std::string text = fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {0}>\n  <testsuite "
                                 "name=\"podsim check\" {0} skipped=\"0\">\n    <properties>\n",
                                 counts);
  text += property("baseline", gate.baseline) + property("podsim_version", gate.podsim_now) +
          property("simgrid_version", gate.simgrid_now);
  if (const std::string note = simgrid_note(gate); !note.empty())
    text += property("note", note);
  text += "    </properties>\n";
  for (const GateRow& row : gate.rows)
    text += test_case(row, gate);
  return text + "  </testsuite>\n</testsuites>\n";
}

} // namespace podsim
