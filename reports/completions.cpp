#include "reports/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace podsim {
namespace {

// In single quotes, for any of the three shells; fish knows backslashes within them.
std::string quoted(const std::string& text, bool fish = false)
{
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += fish ? "\\'" : "'\\''";
    else if (c == '\\' && fish)
      out += "\\\\";
    else
      out += c;
  }
  return out + "'";
}

std::string option_names(const std::vector<OptionText>& options)
{
  std::vector<std::string> names;
  for (const OptionText& option : options)
    if (!option.is_positional())
      names.push_back(option.name);
  return fmt::format("{}", fmt::join(names, " "));
}

// The cases of what stands after an option; then words for an option, or for a positional argument.
std::string bash_command(const CommandText& command)
{
  std::string cases;
  std::string words = "files=yes";
  for (const OptionText& option : command.options) {
    const std::string choices = fmt::format("words={}", quoted(fmt::format("{}", fmt::join(option.choices, " "))));
    if (option.is_positional() && !option.listed.empty())
      words = fmt::format("files=yes listed={}", quoted(fmt::format("{}", fmt::join(option.listed, " "))));
    else if (option.is_positional())
      words = option.choices.empty() ? words : choices;
    else if (!option.value.empty())
      cases += fmt::format("        {}) {} ;;\n", option.name,
                           !option.choices.empty() ? choices
                           : option.takes_file()   ? "files=yes"
                                                   : "return");
  }
  return fmt::format("    {}) case $previous in\n{}        *) if [[ $current == -* ]]; then words={}; else {}; fi ;;\n"
                     "      esac ;;\n",
                     command.name, cases, quoted(option_names(command.options)), words);
}

std::string zsh_escaped(const std::string& text)
{
  std::string out;
  for (const char c : text)
    out += c == '[' || c == ']' || c == ':' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out;
}

std::string zsh_action(const OptionText& option)
{
  if (!option.choices.empty())
    return fmt::format("({})", fmt::join(option.choices, " "));
  if (!option.listed.empty()) // after a space it is run as it stands
    return fmt::format(" _podsim_listed {}", fmt::join(option.listed, " "));
  return option.takes_file() ? "_files" : " ";
}

std::string zsh_argument(const OptionText& option)
{
  if (option.is_positional())
    return quoted(fmt::format("{}:{}:{}", option.repeatable ? "*" : "1", zsh_escaped(option.name), zsh_action(option)));
  const std::string head = fmt::format("{}{}[{}]", option.repeatable ? "*" : "", option.name, zsh_escaped(option.help));
  return quoted(option.value.empty() ? head
                                     : fmt::format("{}:{}:{}", head, zsh_escaped(option.value), zsh_action(option)));
}

std::string zsh_arguments(const std::vector<OptionText>& options)
{
  std::string text;
  for (const OptionText& option : options)
    text += fmt::format(" \\\n          {}", zsh_argument(option));
  return text;
}

std::string fish_option(const std::string& program, const std::string& condition, const OptionText& option)
{
  std::string line = fmt::format("complete -c {} -n {}", program, quoted(condition, true));
  const std::string choices =
      option.choices.empty() ? "" : " -a " + quoted(fmt::format("{}", fmt::join(option.choices, " ")), true);
  if (option.is_positional() && !option.listed.empty())
    return line + fmt::format(" -F -a '(for i in {}; {} list $i 2>/dev/null; end | string replace -r \" .*\" \"\")'\n",
                              fmt::join(option.listed, " "), program);
  if (option.is_positional())
    return line + (option.takes_file() ? " -F" : " -f" + choices) + "\n";
  line += " -l " + option.name.substr(2);
  if (!option.letter.empty())
    line += " -s " + option.letter.substr(1);
  if (!option.value.empty())
    line += option.takes_file() ? " -r -F" : " -x" + choices;
  return line + " -d " + quoted(option.help, true) + "\n";
}

} // namespace

std::string bash_completion(const CommandLineText& text)
{
  std::string names;
  std::string cases;
  for (const CommandText& command : text.commands) {
    names += command.name + " ";
    cases += bash_command(command);
  }
  return fmt::format(R"bash(# Completion of {0} in bash, made from its table of options.
_{0}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command='' words='' files='' listed='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${{COMP_WORDS[i]}} == -* ]] || {{ command=${{COMP_WORDS[i]}}; break; }}
  done
  COMPREPLY=()
  case $command in
    '') words={1} ;;
{2}  esac
  if [[ $files ]]; then
    compopt -o filenames 2>/dev/null
    for i in $listed; do
      words+=" $("${{COMP_WORDS[0]}}" list "$i" 2>/dev/null | cut -d ' ' -f 1)"
    done
    mapfile -t COMPREPLY < <(compgen -f -- "$current"; compgen -W "$words" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  fi
}}
complete -F _{0} {0}
)bash",
                     text.name, quoted(names + option_names(text.options)), cases);
}

std::string zsh_completion(const CommandLineText& text)
{
  std::string names;
  std::string cases;
  for (const CommandText& command : text.commands) {
    names += fmt::format(" \\\n        {}", quoted(command.name + ":" + zsh_escaped(command.summary)));
    cases += fmt::format("        {}) _arguments{} ;;\n", command.name, zsh_arguments(command.options));
  }
  return fmt::format(R"zsh(#compdef {0}
# Completion of {0} in zsh, made from its table of options.
_podsim_listed() {{
  local shelf
  _files
  for shelf in "$@"; do
    compadd -- ${{${{(f)"$({0} list $shelf 2>/dev/null)"}}%% *}}
  done
}}
_{0}() {{
  local -a line commands
  local state
  _arguments -C{1} \
          '1: :->command' '*:: :->arguments'
  case $state in
    command)
      commands=({2})
      _describe command commands ;;
    arguments)
      case $line[1] in
{3}      esac ;;
  esac
}}
_{0} "$@"
)zsh",
                     text.name, zsh_arguments(text.options), names, cases);
}

std::string fish_completion(const CommandLineText& text)
{
  std::string all = fmt::format("# Completion of {} in fish, made from its table of options.\n", text.name);
  for (const OptionText& option : text.options)
    all += fish_option(text.name, "__fish_use_subcommand", option);
  for (const CommandText& command : text.commands) {
    all += fmt::format("complete -c {} -n '__fish_use_subcommand' -f -a {} -d {}\n", text.name, command.name,
                       quoted(command.summary, true));
    for (const OptionText& option : command.options)
      all += fish_option(text.name, "__fish_seen_subcommand_from " + command.name, option);
  }
  return all;
}

} // namespace podsim
