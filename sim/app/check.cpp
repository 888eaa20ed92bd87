#include "reports/github.hpp"
#include "reports/junit.hpp"
#include "scenarios/scenario_files.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/progress.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/input.hpp"
#include "sim/engine/clock/simgrid_module.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "sim/evaluate/evaluation_bytes.hpp"
#include "sim/jobs/engines.hpp"
#include "sim/studies/baseline.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

namespace podsim {
namespace {

namespace fs = std::filesystem;

struct CheckOptions {
  std::string baseline;
  bool update = false, quiet = false;
  std::string filter, junit, json;
  FleetChoice fleet;
};

std::string lower(std::string text)
{
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string environment(const char* name)
{
  const char* value = std::getenv(name);
  return value ? value : "";
}

// As annotations name it: from the folder of the repository.
std::string for_github(const std::string& file)
{
  const std::string workspace = environment("GITHUB_WORKSPACE");
  std::error_code error;
  const fs::path from = workspace.empty() ? fs::current_path(error) : fs::path(workspace);
  const fs::path path = fs::path(file).lexically_relative(from);
  return path.empty() || *path.begin() == ".." ? "" : path.generic_string();
}

class Checker {
public:
  Checker(const CheckOptions& options, const Catalogue& catalogue)
      : options_(options), catalogue_(catalogue), baseline_(read_baseline(options.baseline, catalogue))
  {
    for (const BaselineEntry& entry : baseline_.entries)
      cases_.push_back({entry, row_of(entry)});
    for (Case& one : cases_)
      look_for(one);
    for (const std::string& folder : baseline_.folders)
      add_new(folder);
    const std::string wanted = lower(options.filter);
    for (Case& one : cases_)
      one.chosen = lower(one.row.scenario).find(wanted) != std::string::npos;
    if (std::none_of(cases_.begin(), cases_.end(), [](const Case& one) { return one.chosen; }))
      throw InputError(options.filter.empty() ? fmt::format("{}: there is no scenario in its folders", options.baseline)
                                              : fmt::format("--filter {}: no scenario of {} matches",
                                                            printable(options.filter), options.baseline));
  }

  // That what its scenarios are made of is read; wrong ones are told of later.
  void note_inputs() const
  {
    for (const Case& one : cases_)
      try {
        resolve(one.entry.file, one.entry.changes, catalogue_);
      } catch (const InputError&) {
        note_input(one.entry.file);
      }
  }

  // Runs what has results to compare with, and for --update what is new.
  bool simulate()
  {
    std::vector<Case*> sound;
    for (Case& one : cases_)
      if (one.chosen && one.row.status != RowStatus::missing && one.row.status != RowStatus::failed &&
          (one.entry.results || options_.update))
        sound.push_back(&one);
    ProgressBar bar("checking", sound.size(), !options_.quiet);
    return run_jobs(
        sound.size(), [&](std::size_t job) { return answer(sound[job]->entry); },
        [&](std::size_t job, const JobOutcome& outcome) {
          take(*sound[job], outcome);
          bar.job_ended(sound[job]->row.status == RowStatus::failed);
        },
        fleet_options(options_.fleet));
  }

  Gate result() const
  {
    Gate gate;
    gate.baseline    = options_.baseline;
    gate.podsim_was  = baseline_.podsim_version;
    gate.podsim_now  = PODSIM_VERSION;
    gate.simgrid_was = baseline_.simgrid_version;
    gate.simgrid_now = simgrid_version();
    gate.passed_over = passed_over(others_);
    for (const Case& one : cases_)
      if (one.chosen)
        gate.rows.push_back(compared(one, gate));
    return gate;
  }

  // What the baseline is to be, with what was measured.
  std::string updated() const
  {
    KeptValues values;
    std::vector<BaselineEntry> entries;
    bool filtered = false; // some results stay that were not looked at
    for (const Case& one : cases_) {
      if (one.chosen && one.row.status == RowStatus::missing)
        continue;
      const bool kept = !one.now && one.entry.results;
      filtered        = filtered || (kept && !one.chosen);
      if (kept)
        keep(*one.entry.results, values);
      if (one.now || one.entry.results || one.listed) {
        entries.push_back(one.entry);
        if (one.now)
          entries.back().results = one.now;
      }
    }
    if (filtered && baseline_.simgrid_version != simgrid_version())
      throw InputError(fmt::format("--filter: {} was made with SimGrid {}, this is {}; --update all of it",
                                   options_.baseline, baseline_.simgrid_version, simgrid_version()));
    for (const Case& one : cases_)
      if (one.now)
        add_values(*one.now, filtered, values);
    values.program_missing  = filtered && baseline_.kept.program_missing; // a part would be taken for all of it
    Baseline updated        = baseline_;
    updated.podsim_version  = PODSIM_VERSION;
    updated.simgrid_version = simgrid_version();
    updated.entries         = std::move(entries);
    updated.kept            = std::move(values);
    return baseline_text(updated);
  }

private:
  // A scenario of the baseline, or one that should be in it.
  struct Case {
    BaselineEntry entry;
    GateRow row;
    bool listed = true, chosen = true;
    std::optional<Measured> now = {};
  };

  GateRow row_of(const BaselineEntry& entry) const
  {
    GateRow row;
    row.scenario = catalogue_.within(entry.file);
    if (row.scenario == entry.file)
      row.scenario = (fs::path(folder_of(options_.baseline)) / entry.scenario).lexically_normal().generic_string();
    if (!entry.changes.empty())
      row.scenario += fmt::format(" {}", fmt::join(entry.changes, " "));
    row.file = for_github(entry.file);
    return row;
  }

  void look_for(Case& one) const
  {
    if (input_exists(one.entry.file)) {
      if (!one.entry.results) {
        one.row.status = RowStatus::added;
        one.row.reason = "the baseline has no results of it";
      }
      return;
    }
    if (!one.entry.results)
      throw InputError(fmt::format("{}: there is no scenario file \"{}\"", options_.baseline, one.entry.scenario));
    one.row.status = RowStatus::missing;
    one.row.reason = "there is no such file";
  }

  // Scenarios in the folder that are not in the baseline. They go where their names are in order, if those of the
  // others are.
  void add_new(const std::string& folder)
  {
    const fs::path root = fs::path(baseline_.folder) / folder;
    std::error_code error;
    if (!fs::is_directory(root, error))
      throw InputError(fmt::format("{}: folders: there is no folder \"{}\"", options_.baseline, printable(folder)));
    std::set<fs::path> known;
    for (const Case& one : cases_)
      known.insert(fs::weakly_canonical(one.entry.file, error));
    const ScenarioFiles files = scenario_files(root.string(), catalogue_);
    for (const std::string& other : files.others)
      others_.push_back(from_folder(baseline_, fs::path(other).lexically_normal().string()));
    for (const std::string& found : files.scenarios) {
      const std::string file = fs::path(found).lexically_normal().string();
      if (known.contains(fs::weakly_canonical(file, error)))
        continue;
      BaselineEntry entry{from_folder(baseline_, file), file, {}, {}, {}};
      Case fresh{entry, row_of(entry), false};
      fresh.row.status = RowStatus::added;
      fresh.row.reason = "it is not in the baseline";
      try {
        parse_json_file(file);
      } catch (const InputError& wrong) {
        fail(fresh.row, Status::input, without_place(wrong.what(), file));
      }
      const auto after = std::find_if(cases_.begin(), cases_.end(),
                                      [&](const Case& one) { return entry.scenario < one.entry.scenario; });
      cases_.insert(after, std::move(fresh));
    }
  }

  // In the child.
  std::string answer(const BaselineEntry& entry) const
  {
    Evaluation result;
    try {
      result =
          evaluate(read_scenario(resolve(entry.file, entry.changes, catalogue_)), {on_engine(options_.fleet.engine)});
    } catch (const InputError& wrong) {
      result.refuse({Status::input, without_place(wrong.what(), entry.file)});
    } catch (const CannotRun& wrong) {
      result.refuse({Status::mesh, wrong.what()});
    }
    return to_bytes(result);
  }

  void take(Case& one, const JobOutcome& outcome) const
  {
    if (outcome.status != Status::ok) {
      fail(one.row, outcome.status, one_line(describe(outcome)));
      return;
    }
    const Evaluation result = evaluation_from_bytes(outcome.bytes);
    if (result.status != Status::ok) {
      fail(one.row, result.status, result.reason);
      return;
    }
    one.now = inputs_of(resolve(one.entry.file, one.entry.changes, catalogue_), baseline_);
    add_results(result, *one.now);
  }

  static void fail(GateRow& row, Status why, const std::string& reason)
  {
    row.status  = RowStatus::failed;
    row.failure = why;
    row.reason  = reason;
  }

  static std::string without_place(const std::string& said, const std::string& file)
  {
    return said.starts_with(file + ": ") ? said.substr(file.size() + 2) : said;
  }

  GateRow compared(const Case& one, const Gate& gate) const
  {
    GateRow row = one.row;
    if (!one.now || !one.entry.results)
      return row;
    const Rules rules(baseline_.overall, one.entry.own, baseline_.improvements, gate.other_simgrid());
    row.changes     = changes(*one.entry.results, *one.now, rules);
    row.breakdown   = breakdown_moves(*one.entry.results, *one.now);
    row.cause       = cause(*one.entry.results, *one.now, baseline_.kept);
    row.same_inputs = one.entry.results->hash == one.now->hash;
    row.status      = std::any_of(row.changes.begin(), row.changes.end(),
                                  [](const MetricChange& change) { return change.level == Level::error; })
                          ? RowStatus::moved
                          : RowStatus::unchanged;
    return row;
  }

  void keep(const Measured& results, KeptValues& values) const
  {
    for (const std::string& file : results.files)
      if (const auto known = baseline_.kept.catalogue.find(file); known != baseline_.kept.catalogue.end())
        values.catalogue[file] = known->second;
    values.program = baseline_.kept.program;
  }

  // One value stands for all scenarios that read the file, so those left out by the filter must agree with it.
  static void add_values(const Measured& now, bool filtered, KeptValues& values)
  {
    for (const auto& [file, texts] : now.catalogue)
      for (const auto& [path, value] : texts) {
        Texts& kept      = values.catalogue[file];
        const auto known = kept.find(path);
        if (filtered && known != kept.end() && known->second != value)
          throw InputError(
              fmt::format("--filter: {} changed in {}, which other scenarios of the baseline read as well; "
                          "--update all of it",
                          path, file));
        kept.insert_or_assign(path, value);
      }
    for (const auto& [path, value] : now.program)
      values.program[path].insert(value);
  }

  const CheckOptions& options_;
  const Catalogue& catalogue_;
  Baseline baseline_;
  std::vector<Case> cases_;
  std::vector<std::string> others_; // files of its folders that are no scenarios
};

// A gate does not fail for the sake of its summary.
void tell_github(const Gate& gate, bool stdout_taken, Outputs& outputs)
{
  if (environment("GITHUB_ACTIONS").empty())
    return;
  const std::string lines = annotations(gate); // the runner reads both streams
  if (stdout_taken)
    std::fputs(lines.c_str(), stderr);
  else
    outputs.commands(lines);
  const std::string file = environment("GITHUB_STEP_SUMMARY");
  if (file.empty())
    return;
  std::error_code error;
  const std::uintmax_t size = fs::exists(file, error) ? fs::file_size(file, error) : 0;
  std::ofstream stream(file, std::ios::binary | std::ios::app);
  if (!error && size < summary_limit)
    stream << step_summary(gate, summary_limit - static_cast<std::size_t>(size));
  stream.close();
  if (!stream)
    complain(fmt::format("GITHUB_STEP_SUMMARY {}: cannot be written", file));
}

int exit_code(const GateRow& row, bool updated)
{
  if (row.level() != Level::error)
    return exit_done;
  if (row.status != RowStatus::failed)
    return updated ? exit_done : exit_moved;
  return is_bug(*row.failure) ? exit_internal_error : row.failure == Status::input ? exit_bad_input : exit_cannot_run;
}

// The gravest there is.
int exit_code(const Gate& gate)
{
  const std::vector<int> gravest{exit_internal_error, exit_bad_input, exit_cannot_run, exit_moved};
  for (const int code : gravest)
    for (const GateRow& row : gate.rows)
      if (exit_code(row, gate.updated) == code)
        return code;
  return exit_done;
}

void complain_of(const Gate& gate, int code)
{
  if (code == exit_moved) {
    complain(fmt::format("{}: {}; what is meant is accepted by {}", gate.baseline, summary(gate), how_to_accept(gate)));
    return;
  }
  for (const GateRow& row : gate.rows)
    if (row.status == RowStatus::failed && exit_code(row, gate.updated) == code) {
      complain(fmt::format("{}: {} ({})", row.scenario, row.reason, word(*row.failure)));
      return;
    }
}

void require_file(const CheckOptions& options)
{
  if (!input_exists(options.baseline))
    throw InputError(fmt::format("{}: there is no such file; a baseline begins as {{\"schema_version\": 1, "
                                 "\"folders\": [\"FOLDER OF SCENARIOS\"]}}, which --update fills in",
                                 options.baseline));
}

int check(const CheckOptions& options)
{
  if (options.junit == "-" && options.json == "-")
    throw InputError("--junit - and --json -: only one of them can have standard output");
  require_file(options);
  const Catalogue catalogue = Catalogue::beside_program();
  std::error_code error;
  if (options.update && (is_standard_input(options.baseline) || !fs::is_regular_file(options.baseline, error)))
    throw InputError(fmt::format("{}: --update: expected a file that it can be written to", options.baseline));
  Checker checker(options, catalogue);
  if (!options.junit.empty() || !options.json.empty())
    checker.note_inputs();
  check_outputs({{"--junit", options.junit}, {"--json", options.json}});
  if (!checker.simulate()) {
    complain("interrupted");
    return exit_interrupted;
  }
  Gate gate = checker.result();
  Outputs outputs;
  if (options.update) {
    const std::string text = checker.updated();
    gate.updated           = text == read_input(options.baseline) || outputs.write({"", options.baseline}, text);
  }
  const bool stdout_taken = options.junit == "-" || options.json == "-";
  if (!options.quiet && !stdout_taken)
    outputs.print(to_text(gate, Style(stdout_has_colour())));
  if (!options.update)
    tell_github(gate, stdout_taken, outputs);
  if (!options.junit.empty())
    outputs.write({"--junit", options.junit}, to_junit(gate));
  if (!options.json.empty())
    outputs.write({"--json", options.json}, to_json(gate));
  outputs.finish();
  const int code = exit_code(gate);
  complain_of(gate, code);
  return code;
}

} // namespace

Action setup_check(CLI::App& command)
{
  auto options = std::make_shared<CheckOptions>();
  command.add_option("BASELINE", options->baseline, "baseline file, which names scenarios and keeps their results")
      ->required();
  command.add_flag("--update", options->update, "write what is measured now into the baseline, and print what moved");
  command.add_option("--filter", options->filter, "only scenarios with TEXT in their path")->type_name("TEXT");
  add_file(command, "--junit", options->junit, "also write it as JUnit's XML to FILE; - for standard output, alone");
  add_file(command, "--json", options->json, "also write all of it as JSON to FILE; - for standard output, alone");
  add_fleet(command, options->fleet, "simgrid");
  command.add_flag("--quiet", options->quiet, "no table, no progress");
  return [options] { return check(*options); };
}

} // namespace podsim
