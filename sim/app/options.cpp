#include "sim/app/options.hpp"

#include "sim/core/errors.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sstream>

namespace podsim {
namespace {

const std::string choices_prefix = "one of ";

const CLI::Validator* validator_at(const CLI::Option& option, int index)
{
  try {
    return const_cast<CLI::Option&>(option).get_validator(index); // CLI11 has no const one
  } catch (const CLI::OptionNotFound&) {
    return nullptr;
  }
}

} // namespace

void add_scenario(CLI::App& command, std::string& scenario)
{
  command.add_option("SCENARIO", scenario, "scenario file")->required();
}

void add_changes(CLI::App& command, std::vector<std::string>& changes)
{
  command.add_option("--set", changes, "change one value by its JSON path, as workload.batch=1024; may be repeated")
      ->type_name("PATH=VALUE")
      ->allow_extra_args(false);
}

void add_file(CLI::App& command, const std::string& name, std::string& file, const std::string& help)
{
  command.add_option(name, file, help)->type_name("FILE")->check([](const std::string& given) {
    return given.empty() ? "expected a file, found an empty name" : "";
  });
}

void add_fleet(CLI::App& command, FleetChoice& choice)
{
  command.add_option("--workers", choice.workers, "processes at a time; without it one a core")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command.add_option("--timeout", choice.time_out, "seconds after which a scenario is given up; without it 600")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, 1e7));
}

FleetOptions fleet_options(const FleetChoice& choice)
{
  return {.workers      = choice.workers,
          .time_out     = std::chrono::milliseconds(std::llround(choice.time_out * 1000)),
          .on_interrupt = OnInterrupt::kill};
}

CLI::Validator one_of(const std::vector<std::string>& names)
{
  const auto check = [names](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) != names.end())
      return std::string();
    return fmt::format("expected one of {}, found \"{}\"{}", fmt::join(names, ", "), printable(name),
                       did_you_mean(name, names));
  };
  // The validator's own name is free, and the one place from which completions can learn the choices.
  return CLI::Validator(check, "", fmt::format("{}{}", choices_prefix, fmt::join(names, " ")));
}

std::vector<std::string> choices_of(const CLI::Option& option)
{
  std::vector<std::string> names;
  for (int i = 0; const CLI::Validator* validator = validator_at(option, i); ++i)
    if (validator->get_name().starts_with(choices_prefix)) {
      std::istringstream words(validator->get_name().substr(choices_prefix.size()));
      for (std::string word; words >> word;)
        names.push_back(word);
    }
  return names;
}

std::string mistyped_option(const CLI::App& command, int argc, char** argv)
{
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames())
      known.push_back("--" + name);
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::string name     = argument.substr(0, argument.find('='));
    if (name.starts_with("--") && std::find(known.begin(), known.end(), name) == known.end())
      return did_you_mean(name, known);
  }
  return "";
}

} // namespace podsim
