#include "sim/app/documents.hpp"

#include "reports/command_line.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/terminal.hpp"

#include <sstream>

namespace podsim {
namespace {

std::vector<OptionText> options_of(const CLI::App& app)
{
  std::vector<OptionText> all;
  for (const CLI::Option* option : app.get_options()) {
    const bool positional = option->get_positional();
    OptionText text;
    text.name       = positional ? option->get_name(true) : "--" + option->get_lnames().front();
    text.letter     = option->get_snames().empty() ? "" : "-" + option->get_snames().front();
    text.value      = option->get_items_expected_max() == 0 ? "" : option->get_type_name();
    text.help       = option->get_description();
    text.choices    = choices_of(*option);
    text.listed     = listed_for(*option);
    text.repeatable = option->get_items_expected_max() > 1;
    text.required   = option->get_required();
    all.push_back(std::move(text));
  }
  return all;
}

CommandLineText described(const CLI::App& app)
{
  CommandLineText text;
  text.name    = "podsim";
  text.version = PODSIM_VERSION;
  text.summary = "how long a training step takes on a cluster of accelerators, and why";
  text.options = options_of(app);
  for (const Command& command : commands()) {
    CommandText one{command.name, command.summary, {}, options_of(*app.get_subcommand(command.name))};
    std::istringstream lines(command.examples);
    for (std::string line; std::getline(lines, line);)
      one.examples.push_back(line.substr(std::min(line.size(), line.find_first_not_of(' '))));
    text.commands.push_back(std::move(one));
  }
  text.exit_codes  = {{exit_done, "done"},
                      {exit_moved, "check: what the baseline keeps moved"},
                      {exit_bad_input, "bad usage or input"},
                      {exit_cannot_run, "a scenario is sound but cannot run, or not in the time that it is given"},
                      {exit_internal_error, "a bug of podsim's; of sweep and validate after their table, in which a "
                                             "scenario crashed"},
                      {exit_no_resources, "the system has no more files or processes; what was done is kept"},
                      {exit_interrupted, "interrupted"}};
  text.environment = {{"NO_COLOR", "no colour on a terminal"},
                      {"GITHUB_ACTIONS, GITHUB_STEP_SUMMARY",
                       "set by GitHub's actions: check adds annotations and a summary of the job"}};
  return text;
}

} // namespace

void write_documents(const CLI::App& app, const std::string& folder)
{
  const CommandLineText text = described(app);
  const auto write           = [&](const char* name, const std::string& document) {
    write_file("documents", folder + "/" + name, document);
  };
  write("podsim.bash", bash_completion(text));
  write("_podsim", zsh_completion(text));
  write("podsim.fish", fish_completion(text));
  write("podsim.1", man_page(text));
}

} // namespace podsim
