#pragma once
// A baseline file: which scenarios `podsim check` runs, what may differ, and what they measured when it was written.
//
//     {
//       "schema_version": 1,
//       "folders": ["../scenarios"],
//       "scenarios": ["a.json",
//                     {"scenario": "b.json", "set": {"workload.batch": 512}, "tolerance": {"mfu": 0.01}}],
//       "tolerance": 1e-9,
//       "warn": {"step_time_s": 1e-12},
//       "improvements": "error"
//     }
//
// Each scenario below the folders must be in the baseline. --update writes the rest: versions, "catalogue", "program",
// and of each scenario "results". A baseline of before there was "program" is read all the same.
//
// Paths are from the folder of the file; a scenario may also be named as the catalogue does. Values of catalogue files
// stand once, under "catalogue" and "program", so that a constant that changed is one line of a diff; a scenario's
// results name the files.

#include "scenarios/catalogue.hpp"
#include "sim/evaluate/evaluation.hpp"
#include "sim/metrics/gate.hpp"

#include <optional>
#include <string>
#include <vector>

namespace podsim {

constexpr int baseline_schema_version = 1;

struct BaselineEntry {
  std::string scenario;             // as the baseline names it
  std::string file;                 // the same, absolute
  std::vector<std::string> changes; // "workload.batch=512"
  Allowances own;
  std::optional<Measured> results; // none before the first --update
};

struct Baseline {
  std::string file, folder;                    // folder: absolute
  std::string podsim_version, simgrid_version; // that wrote the results; empty before
  Allowances overall;
  Improvements improvements = Improvements::error;
  std::vector<std::string> folders;
  KeptValues kept;
  std::vector<BaselineEntry> entries;
};

Baseline read_baseline(const std::string& file, const Catalogue& catalogue);

// The entries' results put into the file as it is, all else kept; `entries` may be more or fewer than before.
std::string baseline_text(const Baseline& baseline);

// A scenario's path as a baseline names it.
std::string from_folder(const Baseline& baseline, const std::string& file);

// Each value that a scenario resolved to, by who gave it; of a document that nobody has taken yet.
Measured inputs_of(const Document& document, const Baseline& baseline);
void add_results(const Evaluation& result, Measured& measured);

} // namespace podsim
