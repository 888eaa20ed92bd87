#include "sim/app/options.hpp"

#include "sim/core/errors.hpp"
#include "sim/jobs/engines.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sstream>

namespace podsim {
namespace {

// A validator's own name is free, and the one place from which completions can learn what an option takes.
const std::string choices_prefix = "one of ";
const std::string listed_prefix  = "listed among ";

const CLI::Validator* validator_at(const CLI::Option& option, int index)
{
  try {
    return const_cast<CLI::Option&>(option).get_validator(index); // CLI11 has no const one
  } catch (const CLI::OptionNotFound&) {
    return nullptr;
  }
}

std::vector<std::string> noted(const CLI::Option& option, const std::string& prefix)
{
  std::vector<std::string> names;
  for (int i = 0; const CLI::Validator* validator = validator_at(option, i); ++i)
    if (validator->get_name().starts_with(prefix)) {
      std::istringstream words(validator->get_name().substr(prefix.size()));
      for (std::string word; words >> word;)
        names.push_back(word);
    }
  return names;
}

// Puts what was read in place of the text.
template <class Number> CLI::Validator number_between(Number least, Number most, const char* what)
{
  const auto read = [=](std::string& text) {
    Number number{};
    const char* const end  = text.data() + text.size();
    const auto [rest, bad] = std::from_chars(text.data(), end, number);
    if (bad != std::errc() || rest != end || !(number >= least && number <= most))
      return fmt::format("expected a {} from {} to {}, found \"{}\"", what, least, most, printable(text));
    text = fmt::format("{}", number);
    return std::string();
  };
  return CLI::Validator(read, "", what);
}

} // namespace

void add_scenario(CLI::App& command, std::string& scenario)
{
  command.add_option("SCENARIO", scenario, "scenario: a file, or a name that podsim list scenarios prints")
      ->required()
      ->check(or_listed("scenarios"));
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

void add_engine(CLI::App& command, std::string& engine, const std::string& usual)
{
  engine = usual;
  command
      .add_option(
          "--engine", engine,
          fmt::format("what simulates: simgrid, or heap, which is faster and says the same; without it {}", usual))
      ->check(one_of(engine_names()))
      ->type_name("NAME");
}

void add_fleet(CLI::App& command, FleetChoice& choice, const std::string& engine)
{
  command.add_option("--workers", choice.workers, "processes at a time; without it one a core")
      ->type_name("N")
      ->transform(whole_number(1, 1024));
  add_time_out(command, choice.time_out, "seconds after which a scenario is given up; without it 600");
  add_engine(command, choice.engine, engine);
}

void add_time_out(CLI::App& command, double& seconds, const std::string& help)
{
  command.add_option("--timeout", seconds, help)->type_name("SECONDS")->transform(decimal_number(0.001, 1e7));
}

FleetOptions fleet_options(const FleetChoice& choice)
{
  return {.workers      = choice.workers,
          .time_out     = std::chrono::milliseconds(std::llround(choice.time_out * 1000)),
          .on_interrupt = OnInterrupt::kill};
}

CLI::Validator whole_number(std::int64_t least, std::int64_t most)
{
  return number_between(least, most, "whole number");
}

CLI::Validator decimal_number(double least, double most)
{
  return number_between(least, most, "number");
}

CLI::Validator one_of(const std::vector<std::string>& names)
{
  const auto check = [names](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) != names.end())
      return std::string();
    return fmt::format("expected one of {}, found \"{}\"{}", fmt::join(names, ", "), printable(name),
                       did_you_mean(name, names));
  };
  return CLI::Validator(check, "", fmt::format("{}{}", choices_prefix, fmt::join(names, " ")));
}

std::vector<std::string> choices_of(const CLI::Option& option)
{
  return noted(option, choices_prefix);
}

CLI::Validator or_listed(const std::string& words)
{
  return CLI::Validator([](std::string&) { return std::string(); }, "", listed_prefix + words);
}

std::vector<std::string> listed_for(const CLI::Option& option)
{
  return noted(option, listed_prefix);
}

std::string mistyped_option(const CLI::App& command, const std::vector<std::string>& arguments)
{
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames())
      known.push_back("--" + name);
  for (const std::string& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    if (name.starts_with("--") && std::find(known.begin(), known.end(), name) == known.end())
      return did_you_mean(name, known);
  }
  return "";
}

} // namespace podsim
