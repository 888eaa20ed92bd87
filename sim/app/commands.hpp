#pragma once
// The subcommands: each registers its options and returns what to do when it is chosen. Exit codes: 0 done,
// 1 what a baseline keeps moved, 2 bad usage or input, 3 the scenario is sound but cannot run (or not in the time that
// it is given), 70 a bug of podsim's, 71 the system has no more files or processes, 130 interrupted.

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace podsim {

enum ExitCode : int {
  exit_done           = 0,
  exit_moved          = 1,
  exit_bad_input      = 2,
  exit_cannot_run     = 3,
  exit_internal_error = 70,
  exit_no_resources   = 71,
  exit_interrupted    = 130
};

using Action = std::function<int()>;

struct Command {
  const char* name;
  const char* summary;
  const char* examples;
  Action (*setup)(CLI::App& command);
};

Action setup_run(CLI::App& command);
Action setup_show(CLI::App& command);
Action setup_list(CLI::App& command);
Action setup_validate(CLI::App& command);
Action setup_compare(CLI::App& command);
Action setup_sweep(CLI::App& command);
Action setup_results(CLI::App& command);
Action setup_merge(CLI::App& command);
Action setup_check(CLI::App& command);

const std::vector<Command>& commands();

} // namespace podsim
