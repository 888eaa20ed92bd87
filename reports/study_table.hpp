#pragma once
// What `podsim sweep` and `podsim results` write of a study: a row for each combination.

#include "reports/style.hpp"
#include "sim/core/figures.hpp"
#include "sim/core/status.hpp"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

constexpr int study_table_schema_version = 1;

struct StudyRow {
  std::size_t number = 0;            // of the combination
  std::vector<std::string> settings; // the label on each axis
  Status status = Status::not_run;
  std::string reason; // why it could not run; of what ran: remarks
  Figures figures;
  bool on_front = false; // no other row is better in one of the asked metrics and as good in the rest
};

struct StudyTable {
  std::string name, question, currency;
  std::vector<std::string> axes, metrics;
  std::vector<StudyRow> rows;
  std::vector<std::pair<std::string, std::size_t>> left_out; // constraint, combinations that do not meet it
  std::size_t failed = 0, other_shards = 0;                  // of all rows, also those that `top` cut away
  struct Reason {
    Status status;
    std::string text;
    std::size_t rows = 0;
  };
  std::vector<Reason> reasons;                        // first met first
  std::vector<std::pair<Status, std::size_t>> counts; // rows
};

struct StudyView {
  std::string sort;                  // a metric, best first, or an axis; empty: by combination
  std::size_t top = 0;               // so many rows; 0: all
  std::vector<std::string> pareto{}; // metrics whose front is marked
  bool list_failures = false;
};

// Counts, marks the front, sorts and cuts. Rows that did not run stand last. Throws InputError for a name that the
// table does not have.
void arrange(StudyTable& table, const StudyView& view);

Page to_text(const StudyTable& table, const StudyView& view, const Style& style);
std::string to_csv(const StudyTable& table, const StudyView& view);
std::string to_json_lines(const StudyTable& table, const StudyView& view); // an object a line

} // namespace podsim
