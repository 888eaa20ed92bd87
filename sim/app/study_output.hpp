#pragma once
// How `podsim sweep` and `podsim results` show a stored study: options, the table of what is stored, its writers.

#include "reports/study_table.hpp"
#include "sim/studies/store.hpp"
#include "sim/studies/sweep.hpp"

#include <CLI/CLI.hpp>
#include <string>

namespace podsim {

struct StudyOutput {
  StudyView view;
  std::string csv, json, pareto;
  bool quiet = false;
};

void add_study_output(CLI::App& command, StudyOutput& output); // --sort, --top, --pareto, --csv, --json...

// What can be said against the options before anything has run; takes --pareto apart.
void check(StudyOutput& output, const Sweep& sweep);

// All combinations of the file's share, in order.
StudyTable study_table(const Store& store, const Sweep& sweep);

// Writes what is asked for; the exit code that the table gives.
int write_study(StudyTable table, const StudyOutput& output);

} // namespace podsim
