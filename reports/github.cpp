#include "reports/github.hpp"

#include "sim/core/errors.hpp"
#include "sim/core/utf8.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace podsim {
namespace {

constexpr std::size_t longest_message = 4000; // GitHub shows no more than 4 KiB of one

// In a command of the runner; `property`: before its "::", where colons and commas separate.
std::string command_escaped(const std::string& text, bool property)
{
  std::string out;
  for (const Character& character : characters(text)) {
    const char32_t code = character.code;
    const bool escape = code == U'%' || code == U'\r' || code == U'\n' || (property && (code == U':' || code == U','));
    if (escape)
      out += fmt::format("%{:02X}", static_cast<unsigned>(code));
    else if (is_control(code))
      out += one_line(character.bytes);
    else
      out += character.bytes;
  }
  return out;
}

// In a cell of a table of GitHub's Markdown, where also HTML counts: each sign that could mean something is written as
// its character reference.
std::string markdown_escaped(const std::string& text)
{
  std::string out;
  for (const Character& character : characters(text)) {
    const char32_t code = character.code;
    if (is_control(code))
      out += ' ';
    else if (code < 0x80 &&
             std::string_view("\\`*_{}[]<>()#+!|&~$@:").find(static_cast<char>(code)) != std::string_view::npos)
      out += fmt::format("&#{};", static_cast<unsigned>(code));
    else
      out += character.bytes;
  }
  return out;
}

std::string annotation(const char* command, const std::string& file, const std::string& title,
                       const std::string& message)
{
  const std::string place = file.empty() ? "" : "file=" + command_escaped(file, true) + ",";
  return fmt::format("::{} {}title={}::{}\n", command, place, command_escaped(title, true),
                     command_escaped(cut(message, longest_message), false));
}

std::string annotations_of(const Gate& gate, Level level, const char* command)
{
  std::vector<const GateRow*> rows;
  for (const GateRow& row : gate.rows)
    if (row.level() == level)
      rows.push_back(&row);
  const std::size_t shown = rows.size() > annotations_shown ? annotations_shown - 1 : rows.size();
  std::string text;
  for (std::size_t i = 0; i < shown; ++i)
    text += annotation(command, rows[i]->file, fmt::format("{} {}", rows[i]->scenario, status_text(rows[i]->status)),
                       fmt::format("{}", fmt::join(explanation(*rows[i], gate), "\n")));
  if (shown < rows.size())
    text += annotation(command, "", "podsim check", fmt::format("and {} more: {}", rows.size() - shown, summary(gate)));
  return text;
}

} // namespace

std::string annotations(const Gate& gate)
{
  return annotations_of(gate, Level::error, "error") + annotations_of(gate, Level::warning, "warning");
}

std::string step_summary(const Gate& gate, std::size_t room)
{
  std::string text = fmt::format("### podsim check: {}\n\n", markdown_escaped(summary(gate)));
  if (const std::string note = simgrid_note(gate); !note.empty())
    text += markdown_escaped(note) + "\n\n";
  std::vector<std::string> lines;
  for (const GateRow& row : gate.rows) {
    if (row.level() == Level::none)
      continue;
    std::vector<std::string> why;
    for (const std::string& line : explanation(row, gate))
      why.push_back(markdown_escaped(line));
    lines.push_back(fmt::format("| {} | {}{} | {} |\n", markdown_escaped(row.scenario), status_text(row.status),
                                row.level() == Level::warning ? ", warning" : "", fmt::join(why, "<br>")));
  }
  const std::string end = fmt::format("\nBaseline: {}. What is meant is accepted by {}\n",
                                      markdown_escaped(gate.baseline), markdown_escaped(how_to_accept(gate)));
  if (!lines.empty())
    text += "| scenario | | what and why |\n| --- | --- | --- |\n";
  constexpr std::size_t for_count = 40; // "| and 123456 more | | |"
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (text.size() + lines[i].size() + end.size() + for_count > room) {
      text += fmt::format("| and {} more | | |\n", lines.size() - i);
      break;
    }
    text += lines[i];
  }
  if (!lines.empty())
    text += end;
  return text.size() <= room ? text : "";
}

} // namespace podsim
