#include "reports/remarks.hpp"
#include "reports/validation.hpp"
#include "scenarios/scenario_files.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/progress.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/input.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "sim/evaluate/evaluation_bytes.hpp"
#include "sim/evaluate/figures.hpp"
#include "sim/jobs/engines.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <memory>

namespace podsim {
namespace {

namespace fs = std::filesystem;

struct ValidateOptions {
  std::vector<std::string> places; // files and folders instead of the catalogue
  std::string csv, json, filter, family;
  FleetChoice fleet;
  bool quiet = false;
};

// The scenario files that are asked for, and whether each was named by itself.
std::vector<std::pair<std::string, bool>> files_of(const ValidateOptions& options, const Catalogue& catalogue)
{
  std::vector<std::pair<std::string, bool>> files;
  if (options.places.empty())
    for (const std::string& name : catalogue.names(Shelf::scenarios))
      files.emplace_back(catalogue.file(Shelf::scenarios, name), false);
  std::vector<std::string> others;
  for (const std::string& place : options.places) {
    std::error_code error;
    if (!fs::is_directory(place, error)) {
      files.emplace_back(catalogue.find(Shelf::scenarios, place), true);
      continue;
    }
    const ScenarioFiles found = scenario_files(place, catalogue);
    others.insert(others.end(), found.others.begin(), found.others.end());
    if (found.scenarios.empty())
      throw InputError(fmt::format("{}: there is no scenario in this folder{}{}", place,
                                   found.others.empty() ? "" : "; ", passed_over(found.others)));
    for (const std::string& file : found.scenarios)
      files.emplace_back(file, false);
  }
  if (!others.empty() && !options.quiet)
    complain(passed_over(others));
  return files;
}

// One scenario that is to be simulated, and what is asked of it.
struct Run {
  std::string name; // its file, as reports show it
  Scenario scenario;
  bool asked        = false; // a figure needs it: what only filtered figures are of is not simulated
  Evaluation result = {};
};

struct Question {
  ValidatedFigure figure;
  std::size_t run                  = 0;
  std::optional<std::size_t> other = {}; // that of the scenario that it is relative to
};

class Validator {
public:
  Validator(const ValidateOptions& options, const Catalogue& catalogue) : options_(options), catalogue_(catalogue) {}

  // Reads a scenario; what is wrong with it is a row of the report.
  void add(const std::string& file, bool named)
  {
    const auto run = find(file, named);
    if (!run)
      return;
    const std::vector<PublishedFigure> figures = runs_[*run].scenario.published;
    if (figures.empty() && named)
      throw InputError(fmt::format("{}: it has no \"published\" figures to compare with", file));
    for (const PublishedFigure& figure : figures)
      if (wanted(figure, *run))
        ask(figure, *run);
  }

  void check_found() const
  {
    if (!questions_.empty() || !failures_.empty())
      return;
    if (!options_.family.empty())
      throw InputError(fmt::format("--family {}: no figure is of this family{} (there are: {})",
                                   printable(options_.family), did_you_mean(options_.family, families_),
                                   fmt::join(families_, ", ")));
    throw InputError(options_.filter.empty()
                         ? "no scenario has \"published\" figures"
                         : fmt::format("--filter {}: no published figure matches", printable(options_.filter)));
  }

  bool simulate()
  {
    std::vector<std::size_t> needed;
    for (std::size_t run = 0; run < runs_.size(); ++run)
      if (runs_[run].asked)
        needed.push_back(run);
    ProgressBar bar("validating", needed.size(), !options_.quiet);
    return run_jobs(
        needed.size(),
        [&](std::size_t job) {
          return to_bytes(evaluate(runs_[needed[job]].scenario, {on_engine(options_.fleet.engine)}));
        },
        [&](std::size_t job, const JobOutcome& outcome) {
          Evaluation& result = runs_[needed[job]].result;
          if (outcome.status == Status::ok)
            result = evaluation_from_bytes(outcome.bytes);
          else
            result.refuse({outcome.status, one_line(podsim::describe(outcome))});
          bar.job_ended(outcome.status != Status::ok);
        },
        fleet_options(options_.fleet));
  }

  Validation result()
  {
    Validation all;
    for (Question& question : questions_)
      all.figures.push_back(answered(question));
    std::stable_sort(all.figures.begin(), all.figures.end(), [](const ValidatedFigure& a, const ValidatedFigure& b) {
      return a.figure.family != b.figure.family ? family_before(a.figure.family, b.figure.family)
                                                : a.scenario < b.scenario;
    });
    all.families = family_errors(all.figures);
    all.failures = failures_;
    for (const Run& run : runs_)
      if (run.asked && run.result.status != Status::ok && run.result.status != Status::interrupted)
        all.failures.push_back({run.name, run.result.status, run.result.reason});
    for (const ValidatedFigure& figure : all.figures)
      if (figure.status == Status::no_prediction)
        all.failures.push_back({figure.scenario, figure.status, figure.reason});
    std::stable_sort(all.failures.begin(), all.failures.end(),
                     [](const auto& a, const auto& b) { return a.scenario < b.scenario; });
    return all;
  }

  std::size_t done() const
  {
    return static_cast<std::size_t>(
        std::count_if(runs_.begin(), runs_.end(), [](const Run& run) { return run.result.status == Status::ok; }));
  }

private:
  // The run of a scenario file, read at its first mention; nothing if it cannot be read. What is wrong with a file that
  // the user named is the user's to mend at once.
  std::optional<std::size_t> find(const std::string& file, bool named = false)
  {
    std::error_code error;
    const auto [at, first] = known_.try_emplace(fs::weakly_canonical(file, error).string());
    if (!first)
      return at->second;
    const std::string name = catalogue_.within(file);
    try {
      runs_.push_back({.name = name, .scenario = read_scenario(resolve(file, {}, catalogue_))});
      runs_.back().result.refuse({Status::interrupted, word(Status::interrupted)}); // until there is a result
      at->second = runs_.size() - 1;
    } catch (const InputError& wrong) {
      if (named)
        throw;
      const std::string said = wrong.what();
      failures_.push_back({name, Status::input, said.starts_with(file + ": ") ? said.substr(file.size() + 2) : said});
    } catch (const CannotRun& wrong) {
      failures_.push_back({name, Status::mesh, wrong.what()});
    }
    return at->second;
  }

  bool wanted(const PublishedFigure& figure, std::size_t run)
  {
    if (std::find(families_.begin(), families_.end(), figure.family) == families_.end())
      families_.push_back(figure.family);
    if (!options_.family.empty() && figure.family != options_.family)
      return false;
    const auto lower = [](std::string text) {
      std::transform(text.begin(), text.end(), text.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      return text;
    };
    for (const std::string& text : {figure.id, runs_[run].name, runs_[run].scenario.name, figure.metric->name})
      if (lower(text).find(lower(options_.filter)) != std::string::npos)
        return true;
    return false;
  }

  void ask(const PublishedFigure& figure, std::size_t run)
  {
    Question question{{figure, runs_[run].name, {}, Status::ok, ""}, run};
    if (!figure.relative_to.empty()) {
      question.other = find(figure.relative_file);
      if (!question.other) {
        question.figure.status = Status::input;
        question.figure.reason = fmt::format("{} cannot be read", figure.relative_to);
        questions_.push_back(std::move(question));
        return;
      }
      runs_[*question.other].asked = true;
    }
    runs_[run].asked = true;
    questions_.push_back(std::move(question));
  }

  ValidatedFigure answered(Question& question) const
  {
    ValidatedFigure& figure = question.figure;
    if (figure.status != Status::ok)
      return figure;
    const Run& own   = runs_[question.run];
    const Run& other = runs_[question.other.value_or(question.run)];
    for (const Run* run : {&own, &other})
      if (run->result.status != Status::ok) {
        figure.status = run->result.status;
        figure.reason = run == &own ? run->result.reason : run->name + ": " + run->result.reason;
        return figure;
      }
    figure.predicted = predicted(figure.figure, own.result);
    figure.remarks   = remarks(own.result);
    if (question.other) {
      for (const std::string& remark : remarks(other.result))
        figure.remarks.push_back(other.name + ": " + remark);
      const auto over = predicted(figure.figure, other.result);
      figure.predicted =
          figure.predicted && over && *over > 0 ? std::optional(*figure.predicted / *over) : std::nullopt;
    }
    if (!figure.predicted || !(*figure.predicted > 0)) {
      figure.predicted.reset();
      figure.status = Status::no_prediction;
      figure.reason =
          fmt::format("{}: a run of this scenario does not give \"{}\"", figure.figure.id, figure.figure.metric->name);
    }
    return figure;
  }

  const ValidateOptions& options_;
  const Catalogue& catalogue_;
  std::vector<Run> runs_;
  std::vector<Question> questions_;
  std::vector<ScenarioFailure> failures_;
  std::vector<std::string> families_; // that were met
  std::map<std::string, std::optional<std::size_t>> known_;
};

int validate(const ValidateOptions& options)
{
  if (options.csv == "-" && options.json == "-")
    throw InputError("--csv - and --json -: only one of them can have standard output");
  const Catalogue catalogue = Catalogue::beside_program();
  Validator validator(options, catalogue);
  for (const auto& [file, named] : files_of(options, catalogue))
    validator.add(file, named);
  validator.check_found();
  check_outputs({{"--csv", options.csv}, {"--json", options.json}});
  std::string lacking;
  bool whole = false;
  try {
    whole = validator.simulate();
  } catch (const OutOfResources& lack) {
    lacking = lack.what();
  }
  const Validation result = validator.result();
  Outputs outputs;
  if (!options.quiet && options.csv != "-" && options.json != "-")
    outputs.print(to_text(result, Style(stdout_has_colour())));
  if (!whole) {
    outputs.finish();
    const bool files = !options.csv.empty() || !options.json.empty();
    complain(fmt::format("{}: {} scenarios done{}", lacking.empty() ? "interrupted" : lacking, validator.done(),
                         files ? ", no file written" : ""));
    return lacking.empty() ? exit_interrupted : exit_no_resources;
  }
  if (!options.csv.empty())
    outputs.write({"--csv", options.csv}, to_csv(result));
  if (!options.json.empty())
    outputs.write({"--json", options.json}, to_json(result));
  outputs.finish();
  if (result.failures.empty())
    return exit_done;
  const auto bug   = std::find_if(result.failures.begin(), result.failures.end(),
                                  [](const ScenarioFailure& failure) { return is_bug(failure.status); });
  const auto& told = bug != result.failures.end() ? *bug : result.failures.front();
  complain(fmt::format("{} of the scenarios or figures could not run; {}: {}: {}", result.failures.size(),
                       bug != result.failures.end() ? "a bug of podsim's" : "the first", told.scenario, told.reason));
  return bug != result.failures.end() ? exit_internal_error : exit_cannot_run;
}

} // namespace

Action setup_validate(CLI::App& command)
{
  auto options = std::make_shared<ValidateOptions>();
  command
      .add_option("PLACE", options->places, "scenarios, or folders of them, instead of all those that come with podsim")
      ->check(or_listed("scenarios"));
  command
      .add_option("--filter", options->filter, "only figures with TEXT in their id, metric, or scenario's file or name")
      ->type_name("TEXT");
  command.add_option("--family", options->family, "only figures of one family, as \"TPU v4\"")->type_name("NAME");
  add_file(command, "--json", options->json, "also write all of it as JSON to FILE; - for standard output, alone");
  add_file(command, "--csv", options->csv, "also write the figures as CSV to FILE; - for standard output, alone");
  add_fleet(command, options->fleet, "simgrid");
  command.add_flag("--quiet", options->quiet, "no table, no progress");
  return [options] { return validate(*options); };
}

} // namespace podsim
