// Baselines: reads one, compares its results with each other as `podsim check` does with what it has measured, writes
// all reports, and writes the file anew.

#include "reports/github.hpp"
#include "reports/junit.hpp"
#include "sim/studies/baseline.hpp"
#include "tests/fuzz/json_mutator.hpp"

#include <nlohmann/json.hpp>

namespace podsim::fuzz {
namespace {

constexpr std::size_t compared = 8; // entries, at most

GateRow row_of(const BaselineEntry& entry, const Measured& now, const Baseline& baseline, const Gate& gate)
{
  const Rules rules(baseline.overall, entry.own, baseline.improvements, gate.other_simgrid());
  GateRow row;
  row.scenario    = entry.scenario;
  row.file        = entry.file;
  row.changes     = changes(*entry.results, now, rules);
  row.breakdown   = breakdown_moves(*entry.results, now);
  row.cause       = cause(*entry.results, now, baseline.kept);
  row.same_inputs = entry.results->hash == now.hash;
  row.status      = row.changes.empty() ? RowStatus::unchanged : RowStatus::moved;
  return row;
}

// What a scenario measures now: what another one did, and all that the baseline keeps of catalogue and program.
Measured other_results(const Baseline& baseline, std::size_t i)
{
  Measured now;
  for (std::size_t j = i + 1; j < baseline.entries.size() + i; ++j)
    if (const auto& results = baseline.entries[j % baseline.entries.size()].results) {
      now = *results;
      break;
    }
  now.catalogue = baseline.kept.catalogue;
  for (const auto& [path, values] : baseline.kept.program)
    if (!values.empty())
      now.program[path] = *values.begin();
  return now;
}

bool baseline_input(const std::string& input)
{
  static const std::string file = scratch_file("baseline.json");
  write_scratch(file, input);
  Baseline baseline = read_baseline(file, catalogue());
  Gate gate{.baseline    = file,
            .podsim_was  = baseline.podsim_version,
            .podsim_now  = "now",
            .simgrid_was = baseline.simgrid_version,
            .simgrid_now = "3.32",
            .updated     = false,
            .rows        = {}};
  for (std::size_t i = 0; i < baseline.entries.size() && i < compared; ++i)
    if (baseline.entries[i].results)
      gate.rows.push_back(row_of(baseline.entries[i], other_results(baseline, i), baseline, gate));
  require(!to_text(gate, Style(true)).empty(), "something is printed");
  require(Json::accept(to_json(gate)), "--json writes JSON");
  require(!to_junit(gate).empty() && annotations(gate).size() < summary_limit, "reports are written");
  require(step_summary(gate, 1'000).size() <= 1'000, "a summary takes no more than its room");

  write_scratch(file, baseline_text(baseline));
  require(read_baseline(file, catalogue()).entries.size() == baseline.entries.size(),
          "what --update writes can be read");
  return true;
}

std::optional<std::string> mutated_baseline(const std::string& input, Random& random)
{
  return mutated_json(input, random, change_anything);
}

} // namespace

const Target baseline_target{"baseline", baseline_input, mutated_baseline, crossed_json};

} // namespace podsim::fuzz
