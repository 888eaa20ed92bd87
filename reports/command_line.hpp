#pragma once
// The commands and options of podsim as plain data, and what is generated from it: completions for three shells and the
// manual page.

#include <string>
#include <vector>

namespace podsim {

struct OptionText {
  std::string name;   // "--json", or of a positional argument "SCENARIO"
  std::string letter; // "-h", or empty
  std::string value;  // what stands after it: "FILE", "N"; empty for a flag
  std::string help;
  std::vector<std::string> choices; // of values, where it is a closed set
  bool repeatable                 = false;
  bool required                   = false;
  std::vector<std::string> listed = {}; // what `podsim list` lists, of which a value may be a name in place of a file
  bool is_positional() const { return !name.starts_with("-"); }
  bool takes_file() const { return choices.empty() && (is_positional() || value == "FILE"); }
};

struct CommandText {
  std::string name, summary;
  std::vector<std::string> examples;
  std::vector<OptionText> options;
};

struct CommandLineText {
  std::string name, version, summary;
  std::vector<OptionText> options; // before any command
  std::vector<CommandText> commands;
  std::vector<std::pair<int, std::string>> exit_codes;
  std::vector<std::pair<std::string, std::string>> environment;
};

std::string bash_completion(const CommandLineText& text);
std::string zsh_completion(const CommandLineText& text);
std::string fish_completion(const CommandLineText& text);
std::string man_page(const CommandLineText& text);

} // namespace podsim
