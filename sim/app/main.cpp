#include "sim/app/commands.hpp"
#include "sim/app/documents.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/errors.hpp"
#include "sim/engine/simulate.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace podsim {

const std::vector<Command>& commands()
{
  static const std::vector<Command> table{
      {"run", "simulate a training step and report it",
       "  podsim run scenarios/training/palm-540b.json\n"
       "  podsim run scenarios/training/palm-540b.json --set workload.batch=1024 --json result.json\n"
       "  podsim run scenarios/training/palm-540b.json --json - | jq .mfu\n",
       setup_run},
      {"show", "what a scenario resolves to, without simulating it",
       "  podsim show scenarios/training/palm-540b.json\n", setup_show},
      {"list", "the models, machines, software, scenarios... that come with podsim", "  podsim list models\n",
       setup_list},
      {"validate", "how far predictions are from published figures",
       "  podsim validate\n"
       "  podsim validate --family \"TPU v4\"\n"
       "  podsim validate --filter palm --json -\n"
       "  podsim validate my-scenarios/\n",
       setup_validate},
      {"compare", "scenarios side by side",
       "  podsim compare scenarios/training/palm-540b.json scenarios/training/palm-540b-one-pod.json\n"
       "  podsim compare scenarios/studies/palm-pods.json --csv pods.csv\n",
       setup_compare},
      {"sweep", "all combinations of a study, stored as they end",
       "  podsim sweep scenarios/studies/palm-pods-and-batch.json\n"
       "  podsim sweep my-study.json --sort cost --top 10 --pareto days,cost --csv rows.csv\n"
       "  podsim sweep my-study.json --shard 2/8 --db shard-2.sqlite\n",
       setup_sweep},
      {"results", "the table of a stored study", "  podsim results my-study.sqlite --list-failures\n", setup_results},
      {"merge", "joins the shards of a study", "  podsim merge shard-*.sqlite --db my-study.sqlite\n", setup_merge},
      {"check", "whether results moved from those of a baseline, and why",
       "  podsim check baseline.json\n"
       "  podsim check baseline.json --update    # accept what moved\n"
       "  podsim check baseline.json --junit check.xml\n",
       setup_check},
  };
  return table;
}

namespace {

std::string short_help()
{
  std::string text =
      "podsim replays a training step on a cluster of accelerators and says how long it takes and why.\n\n"
      "Examples:\n";
  for (const Command& command : commands())
    text += std::string(command.examples).substr(0, std::string(command.examples).find('\n') + 1);
  text += "\nCommands:\n";
  for (const Command& command : commands())
    text += fmt::format("  {:<10}{}\n", command.name, command.summary);
  return text + "\nMore: podsim help COMMAND\n";
}

void complain_of_all(const InputError& error)
{
  constexpr std::size_t most = 20;
  for (std::size_t i = 0; i < std::min(most, error.lines().size()); ++i)
    complain(error.lines()[i]);
  if (error.lines().size() > most)
    complain(fmt::format("and {} more mistakes", error.lines().size() - most));
}

// `podsim help run` and `podsim version` are said as options.
std::vector<std::string> as_options(std::vector<std::string> words)
{
  if (words.empty())
    return words;
  if (words.front() == "version") {
    words.front() = "--version";
  } else if (words.front() == "help") {
    words.erase(words.begin());
    if (!words.empty() && (words.front() == "help" || words.front() == "version"))
      words.erase(words.begin());
    words.emplace_back("--help");
  }
  return words;
}

int dispatch(const std::vector<std::string>& given)
{
  CLI::App app(short_help(), "podsim");
  app.set_version_flag("--version", "podsim " PODSIM_VERSION);
  app.require_subcommand(0, 1);
  std::vector<std::pair<CLI::App*, Action>> actions;
  std::vector<std::string> names{"help", "version"};
  for (const Command& command : commands()) {
    CLI::App* sub =
        app.add_subcommand(command.name, fmt::format("{}\n\nExamples:\n{}", command.summary, command.examples));
    actions.emplace_back(sub, command.setup(*sub));
    names.emplace_back(command.name);
  }
  if (given.size() == 2 && given.front() == "documents") { // for the build, so in no table
    write_documents(app, given.back());
    return exit_done;
  }
  const std::vector<std::string> words = as_options(given);
  if (!words.empty() && !words.front().starts_with("-") &&
      std::find(names.begin(), names.end(), words.front()) == names.end())
    throw InputError(
        fmt::format("there is no command \"{}\"{}", printable(words.front()), did_you_mean(words.front(), names)));
  try {
    app.parse(std::vector<std::string>{words.rbegin(), words.rend()}); // takes them from the end
  } catch (const CLI::CallForVersion& asked) {
    return app.exit(asked);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    print((chosen.empty() ? short_help() : chosen.front()->help("podsim")).c_str());
    return exit_done;
  } catch (const CLI::ParseError& wrong) {
    const auto chosen       = app.get_subcommands();
    const CLI::App& command = chosen.empty() ? app : *chosen.front();
    const bool unexpected   = dynamic_cast<const CLI::ExtrasError*>(&wrong) != nullptr;
    throw InputError(fmt::format("{}{} (see podsim {}--help)", wrong.what(),
                                 unexpected ? mistyped_option(command, words) : "",
                                 chosen.empty() ? "" : command.get_name() + " "));
  }
  for (const auto& [sub, action] : actions)
    if (sub->parsed())
      return action();
  print(short_help().c_str());
  return exit_done;
}

} // namespace
} // namespace podsim

int main(int argc, char** argv)
{
  using namespace podsim;
  prepare_process();
  try {
    return dispatch({argv + 1, argv + std::max(argc, 1)});
  } catch (const InputError& error) {
    complain_of_all(error);
    return exit_bad_input;
  } catch (const CannotRun& error) {
    complain(error.what());
    return exit_cannot_run;
  } catch (const OutOfResources& error) {
    complain(error.what());
    return exit_no_resources;
  } catch (const Interrupted&) {
    if (stderr_is_terminal())
      std::fputs("\n", stderr); // after the progress line
    complain("interrupted");
    return exit_interrupted;
  } catch (const std::exception& bug) {
    complain(std::string("internal error: ") + bug.what());
    return exit_internal_error;
  }
}
