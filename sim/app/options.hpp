#pragma once
// Command-line options that several subcommands share, and messages for what is mistyped.

#include "sim/jobs/fleet.hpp"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace podsim {

void add_scenario(CLI::App& command, std::string& scenario);            // a file, or a name of the catalogue
void add_changes(CLI::App& command, std::vector<std::string>& changes); // --set
void add_file(CLI::App& command, const std::string& name, std::string& file, const std::string& help);

// How many processes work, and when one is given up.
struct FleetChoice {
  int workers     = 0; // 0: one a core
  double time_out = 600;
  std::string engine;
};
void add_fleet(CLI::App& command, FleetChoice& choice, const std::string& engine); // --workers, --timeout, --engine
void add_engine(CLI::App& command, std::string& engine, const std::string& usual); // --engine alone
void add_time_out(CLI::App& command, double& seconds, const std::string& help);    // --timeout alone
FleetOptions fleet_options(const FleetChoice& choice);

// Numbers as people write them, in decimal whatever zeros lead: by itself CLI11 reads 010 as 8 and 0x10 as 16.
CLI::Validator whole_number(std::int64_t least, std::int64_t most);
CLI::Validator decimal_number(double least, double most);

// Accepts one of the names; names the nearest otherwise.
CLI::Validator one_of(const std::vector<std::string>& names);

// What one_of() accepts for this option, or nothing where it is not so checked.
std::vector<std::string> choices_of(const CLI::Option& option);

// Accepts anything, and lets completions know that it may be a name that `podsim list` prints for these words.
CLI::Validator or_listed(const std::string& words);
std::vector<std::string> listed_for(const CLI::Option& option);

// `; did you mean "--json"?` for the first option among the arguments that the command does not have, or "".
std::string mistyped_option(const CLI::App& command, const std::vector<std::string>& arguments);

} // namespace podsim
