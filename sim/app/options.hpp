#pragma once
// Command-line options that several subcommands share, and messages for what is mistyped.

#include "sim/app/fleet.hpp"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace podsim {

void add_scenario(CLI::App& command, std::string& scenario);
void add_changes(CLI::App& command, std::vector<std::string>& changes); // --set
void add_file(CLI::App& command, const std::string& name, std::string& file, const std::string& help);

// How many processes work, and when one is given up.
struct FleetChoice {
  int workers     = 0; // 0: one a core
  double time_out = 600;
};
void add_fleet(CLI::App& command, FleetChoice& choice); // --workers, --timeout
FleetOptions fleet_options(const FleetChoice& choice);

// Accepts one of the names; names the nearest otherwise.
CLI::Validator one_of(const std::vector<std::string>& names);

// What one_of() accepts for this option, or nothing where it is not so checked.
std::vector<std::string> choices_of(const CLI::Option& option);

// `; did you mean "--json"?` for the first option among the arguments that the command does not have, or "".
std::string mistyped_option(const CLI::App& command, int argc, char** argv);

} // namespace podsim
