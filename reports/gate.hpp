#pragma once
// What `podsim check` writes: a baseline's scenarios beside what they measure now.

#include "reports/style.hpp"
#include "sim/core/status.hpp"
#include "sim/metrics/gate.hpp"

#include <optional>
#include <string>
#include <vector>

namespace podsim {

constexpr int gate_schema_version = 1;

enum class RowStatus {
  unchanged,
  moved,
  added,   // new: there is nothing to compare with
  missing, // its file is gone
  failed,  // it did not run
};

struct GateRow {
  std::string scenario; // its file, and what is changed in it
  std::string file;     // the file alone, from the folder of the repository
  RowStatus status = RowStatus::unchanged;
  std::optional<Status> failure; // why it did not
  std::string reason;            // one line, where the status needs one
  std::vector<MetricChange> changes;
  std::vector<BreakdownMove> breakdown; // where changes are
  Cause cause;
  bool same_inputs = true; // the resolved scenario's hash
  Level level() const;
};

struct Gate {
  std::string baseline; // the file
  std::string podsim_was, podsim_now, simgrid_was, simgrid_now;
  bool updated = false;
  std::string passed_over; // which files of its folders are no scenarios, in a line, or empty
  std::vector<GateRow> rows;
  bool other_simgrid() const { return !simgrid_was.empty() && simgrid_was != simgrid_now; }
};

const char* status_text(RowStatus status); // "unchanged", "moved", "new", "missing", "failed"

// "2 moved, 1 new, 115 unchanged".
std::string summary(const Gate& gate);

// How the baseline's SimGrid differs and what that means; empty where it does not.
std::string simgrid_note(const Gate& gate);

// All that is to be said of a row, a line each: what moved, where in the step, and why.
std::vector<std::string> explanation(const GateRow& row, const Gate& gate);

// In the words of a shell: how to accept what moved.
std::string how_to_accept(const Gate& gate);

Page to_text(const Gate& gate, const Style& style);
std::string to_json(const Gate& gate);

} // namespace podsim
