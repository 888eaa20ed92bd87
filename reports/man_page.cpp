#include "reports/command_line.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace podsim {
namespace {

// A line of text for roff: hyphens are those of options, and no line begins as a request does.
std::string escaped(const std::string& text)
{
  std::string out = text.starts_with(".") || text.starts_with("'") ? "\\&" : "";
  for (const char c : text)
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : c == '\n' ? " " : std::string(1, c);
  return out;
}

std::string upper(std::string text)
{
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string example(const std::vector<std::string>& lines)
{
  std::string text = ".PP\n.nf\n.RS\n";
  for (const std::string& line : lines)
    text += escaped(line) + "\n";
  return text + ".RE\n.fi\n";
}

std::string item(const OptionText& option)
{
  std::string head = option.is_positional() ? fmt::format("\\fI{}\\fR", escaped(option.name))
                                            : fmt::format("\\fB{}\\fR", escaped(option.name));
  if (!option.letter.empty())
    head = fmt::format("\\fB{}\\fR, {}", escaped(option.letter), head);
  if (!option.value.empty() && !option.is_positional())
    head += fmt::format(" \\fI{}\\fR", escaped(option.value));
  return fmt::format(".TP\n{}\n{}\n", head, escaped(option.help));
}

std::string synopsis(const CommandLineText& text, const CommandText& command)
{
  std::string line = fmt::format("\\fB{} {}\\fR", escaped(text.name), escaped(command.name));
  for (const OptionText& option : command.options)
    if (option.is_positional()) {
      const std::string name = fmt::format("\\fI{}\\fR{}", escaped(option.name), option.repeatable ? "..." : "");
      line += option.required ? " " + name : " [" + name + "]";
    }
  return line + " [\\fIOPTIONS\\fR]\n";
}

} // namespace

std::string man_page(const CommandLineText& text)
{
  std::string page = fmt::format(".TH {} 1 \"\" \"{} {}\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n", upper(text.name),
                                 text.name, text.version, text.name, escaped(text.summary));
  for (const CommandText& command : text.commands)
    page += synopsis(text, command) + (&command == &text.commands.back() ? "" : ".br\n");
  page += ".SH EXAMPLES\n";
  std::vector<std::string> first;
  for (const CommandText& command : text.commands)
    if (!command.examples.empty())
      first.push_back(command.examples.front());
  page += example(first) + ".SH OPTIONS\n";
  for (const OptionText& option : text.options)
    page += item(option);
  page += ".SH COMMANDS\n";
  for (const CommandText& command : text.commands) {
    page += fmt::format(".SS {}\n{}\n", escaped(command.name), escaped(command.summary)) + example(command.examples);
    for (const OptionText& option : command.options)
      page += item(option);
  }
  page += ".SH EXIT STATUS\n";
  for (const auto& [code, meaning] : text.exit_codes)
    page += fmt::format(".TP\n{}\n{}\n", code, escaped(meaning));
  page += ".SH ENVIRONMENT\n";
  for (const auto& [name, meaning] : text.environment)
    page += fmt::format(".TP\n{}\n{}\n", escaped(name), escaped(meaning));
  return page;
}

} // namespace podsim
