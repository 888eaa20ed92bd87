#pragma once
// What a run measured, kept in a baseline and compared with what the same scenario measures later.
//
// The simulator is deterministic: without a tolerance any change is an error, an improvement as well, because a number
// that moved unasked is a change that nobody looked at. A difference is explained by what is kept beside the numbers:
// the breakdown, and every value that the scenario resolved to with the file that gave it.

#include "sim/core/figures.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

using Numbers = std::vector<std::pair<std::string, double>>;
using Texts   = std::map<std::string, std::string>; // a value by its path

struct Measured {
  std::string hash;                       // of the resolved scenario
  std::vector<std::string> files;         // of the catalogue, that it read
  Numbers metrics, breakdown;             // by gated_names(); seconds of the critical class
  Texts scenario;                         // values that the scenario itself gives
  std::map<std::string, Texts> catalogue; // those that a catalogue file gives, by file
  Texts program;                          // and constants that the program itself holds
};

// The values that a baseline keeps once for all its scenarios. What a catalogue file gives for a path is the same in
// each; a constant of the program depends on the scenario's software, so all that were met stand there.
struct KeptValues {
  std::map<std::string, Texts> catalogue;
  std::map<std::string, std::set<std::string>> program;
  bool program_missing = false; // nobody wrote them down: what they were is not known
};

// The breakdown is compared as a whole, beside the figures.
inline constexpr const char* gated_breakdown = "breakdown_s";
std::vector<std::string>
gated_names(); // for which allowances may be given: of the figures, as in JSON, and the breakdown

constexpr double usual_tolerance = 1e-9;
// What is compared with numbers of another SimGrid: its solver may order sums otherwise.
constexpr double other_simgrid_tolerance = 1e-6;

// Relative changes: beyond `tolerance` is an error, beyond `warn` a warning. Each for all metrics or for one.
struct Allowance {
  std::optional<double> tolerance, warn;
};
struct Allowances {
  Allowance all;
  std::map<std::string, Allowance> by_metric;
};

enum class Improvements { error, warning, accept }; // what one beyond the tolerance is

// Of one scenario: its own allowances before those of the baseline, those of a metric before those of all.
class Rules {
public:
  Rules(const Allowances& overall, const Allowances& own, Improvements improvements, bool other_simgrid)
      : overall_(overall), own_(own), improvements_(improvements), other_simgrid_(other_simgrid)
  {
  }
  double tolerance(const std::string& metric) const;
  std::optional<double> warn(const std::string& metric) const;
  Improvements improvements() const { return improvements_; }

private:
  std::optional<double> find(const std::string& metric, std::optional<double> Allowance::*which) const;

  const Allowances& overall_;
  const Allowances& own_;
  Improvements improvements_;
  bool other_simgrid_;
};

enum class Level { none, warning, error };
enum class Effect { better, worse, changed }; // changed: neither is better

struct MetricChange {
  std::string metric; // "breakdown_s": where the step's time went
  std::optional<double> was, now;
  std::optional<double> relative; // signed; of the breakdown, the largest move as a share of the step
  double tolerance = usual_tolerance;
  Effect effect    = Effect::changed;
  Level level      = Level::none;
};

// Changes beyond what the rules let pass in silence.
std::vector<MetricChange> changes(const Measured& was, const Measured& now, const Rules& rules);

struct BreakdownMove {
  std::string entry;
  double was = 0, now = 0; // seconds
};
std::vector<BreakdownMove> breakdown_moves(const Measured& was, const Measured& now); // the largest first

struct ValueChange {
  std::string path;
  std::optional<std::string> was, now;
  std::string file; // of the catalogue; empty: the scenario's
};

// Who changed: the scenario, the catalogue, or, where neither did, only the program.
struct Cause {
  std::vector<ValueChange> scenario, catalogue, program; // of the program: constants that it holds
  std::vector<std::string> files_gained, files_lost;     // a scenario that reads other files is another scenario
  bool program_unknown = false;                          // whether constants of the program changed
  bool inputs_changed() const
  {
    return !scenario.empty() || !catalogue.empty() || !files_gained.empty() || !files_lost.empty();
  }
};

Cause cause(const Measured& was, const Measured& now, const KeptValues& kept);

} // namespace podsim
