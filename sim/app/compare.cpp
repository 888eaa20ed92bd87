#include "reports/comparison.hpp"
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
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

namespace fs = std::filesystem;

struct CompareOptions {
  std::vector<std::string> files;
  std::vector<std::string> changes;
  std::string csv, json;
  FleetChoice fleet;
  bool quiet = false;
};

// A column before it is simulated.
struct Entry {
  std::string name, file, label;    // the name as it is written, a path or of the catalogue
  std::vector<std::string> changes; // of the study, before those of the command line
};

struct Study {
  std::string name, question;
  std::vector<Entry> entries;
  std::vector<Ratio> ratios;
};

bool is_study(const std::string& file)
{
  if (!input_exists(file))
    return false; // reading it as a scenario says what is wrong
  const Json json = parse_json_file(file);
  if (json.is_object() && json.contains("axes"))
    throw InputError(fmt::format("{}: is a study for podsim sweep: podsim sweep {}", file, file));
  return json.is_object() && json.contains("compare");
}

Entry entry_of(const Reader& scenario, const std::string& study, const Catalogue& catalogue)
{
  const std::string name = scenario.text();
  if (name.empty())
    scenario.fail("expected the name or the path of a scenario, found an empty name");
  try {
    return {name, catalogue.find(Shelf::scenarios, name, study), "", {}};
  } catch (const InputError& missing) {
    scenario.fail(missing.what());
  }
}

// "a.json", or {"scenario": "a.json", "label": "A", "set": {"workload.batch": 512}}.
Entry read_entry(Reader entry, const Json& json, const std::string& study, const Catalogue& catalogue)
{
  if (entry.is_text())
    return entry_of(entry, study, catalogue);
  Entry read = entry_of(entry.at("scenario"), study, catalogue);
  if (const auto label = entry.find("label"))
    read.label = label->text();
  if (entry.find("set")) {
    entry.at("set").keys(); // complains of what is no object
    for (const auto& [path, value] : json.at("set").items())
      read.changes.push_back(fmt::format("{}={}", path, value.dump()));
  }
  entry.finish();
  return read;
}

Ratio read_ratio(Reader ratio, const std::vector<Entry>& entries)
{
  const auto same = [](const std::vector<std::string>& names) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const std::string& name : names)
      pairs.emplace_back(name, name);
    return pairs;
  };
  std::vector<std::string> labels;
  for (const Entry& entry : entries)
    labels.push_back(entry.label);
  Ratio read;
  read.metric = ratio.at("metric").choice(same(figure_names(Listing::comparison)));
  read.of     = ratio.at("of").choice(same(labels));
  read.over   = ratio.at("over").choice(same(labels));
  if (const auto says = ratio.find("says"))
    read.says = says->text();
  ratio.finish();
  return read;
}

// Each column is known by its label; without one by its file's name, or as it is written where two have the same name.
void label(std::vector<Entry>& entries)
{
  for (Entry& entry : entries)
    if (entry.label.empty()) {
      const std::string stem = fs::path(entry.file).stem().string();
      const auto twins       = std::count_if(entries.begin(), entries.end(), [&](const Entry& other) {
        return other.file != entry.file && fs::path(other.file).stem().string() == stem;
      });
      entry.label            = twins > 0 ? entry.name : stem;
    }
  for (std::size_t i = 0; i < entries.size(); ++i) { // the same file, with other changes
    int copies = 1;
    for (std::size_t j = i + 1; j < entries.size(); ++j)
      if (entries[j].label == entries[i].label)
        entries[j].label += fmt::format(" ({})", ++copies);
  }
}

Study read_study(const std::string& file, const Catalogue& catalogue)
{
  Document document;
  *document.json = parse_json_file(file);
  document.json->erase("$schema"); // for editors
  document.origins.set("", file);
  Reader top(document);
  top.at("schema_version").count(1, 1);
  Study study;
  study.name = top.at("name").text();
  if (const auto question = top.find("question"))
    study.question = question->text();
  const std::vector<Reader> entries = top.at("compare").elements();
  for (std::size_t i = 0; i < entries.size(); ++i)
    study.entries.push_back(read_entry(entries[i], document.json->at("compare")[i], file, catalogue));
  if (entries.empty())
    top.at("compare").fail("names no scenario");
  label(study.entries);
  if (const auto ratios = top.find("ratios"))
    for (const Reader& ratio : ratios->elements())
      study.ratios.push_back(read_ratio(ratio, study.entries));
  top.finish();
  return study;
}

// A study alone, or scenarios.
Study study_of(const CompareOptions& options, const Catalogue& catalogue)
{
  const std::vector<std::string> studies = catalogue.short_names(Shelf::studies);
  Study study;
  for (const std::string& name : options.files) {
    const bool known = std::binary_search(studies.begin(), studies.end(), name);
    study.entries.push_back({name, catalogue.find(known ? Shelf::studies : Shelf::scenarios, name), "", {}});
    if (!is_study(study.entries.back().file))
      continue;
    if (options.files.size() > 1)
      throw InputError(fmt::format("{}: is a study; it is compared alone, without other files", name));
    return read_study(study.entries.back().file, catalogue);
  }
  if (options.files.size() < 2)
    throw InputError("expected two or more scenarios, or one study");
  label(study.entries);
  return study;
}

// What a column is known of before it runs: wrong input ends the command, a scenario that cannot run is a column.
struct Prospect {
  std::optional<Scenario> scenario;
  Column column;
};

Prospect prospect(const Entry& entry, const CompareOptions& options, const Catalogue& catalogue)
{
  std::vector<std::string> changes = entry.changes;
  changes.insert(changes.end(), options.changes.begin(), options.changes.end());
  Prospect read;
  read.column.label        = entry.label;
  read.column.file         = catalogue.within(entry.file);
  Document document        = resolve(entry.file, changes, catalogue);
  read.column.run.scenario = identify(document).name;
  try {
    read.scenario = read_scenario(std::move(document));
    if (!entry.changes.empty())
      read.scenario->published.clear(); // it is another scenario than the one that they were published for
  } catch (const CannotRun& reason) {
    read.column.run.refuse({Status::mesh, reason.what()});
  }
  return read;
}

bool simulate(std::vector<Prospect>& prospects, const CompareOptions& options)
{
  std::vector<Prospect*> sound;
  for (Prospect& one : prospects)
    if (one.scenario)
      sound.push_back(&one);
  ProgressBar bar("simulating", sound.size(), !options.quiet);
  return run_jobs(
      sound.size(),
      [&](std::size_t job) { return to_bytes(evaluate(*sound[job]->scenario, {on_engine(options.fleet.engine)})); },
      [&](std::size_t job, const JobOutcome& outcome) {
        Evaluation& run = sound[job]->column.run;
        if (outcome.status == Status::ok)
          run = evaluation_from_bytes(outcome.bytes);
        else
          run.refuse({outcome.status, one_line(describe(outcome))});
        bar.job_ended(outcome.status != Status::ok);
      },
      fleet_options(options.fleet));
}

void answer(Comparison& comparison)
{
  const auto value = [&](const std::string& label, const std::string& metric) -> std::optional<double> {
    for (const Column& column : comparison.columns)
      if (column.label == label)
        return value_of(figure(metric), column.run);
    return {};
  };
  for (Ratio& ratio : comparison.ratios) {
    const auto of   = value(ratio.of, ratio.metric);
    const auto over = value(ratio.over, ratio.metric);
    if (of && over && *over > 0)
      ratio.value = *of / *over;
  }
}

int compare(const CompareOptions& options)
{
  if (options.csv == "-" && options.json == "-")
    throw InputError("--csv - and --json -: only one of them can have standard output");
  const Catalogue catalogue = Catalogue::beside_program();
  const Study study         = study_of(options, catalogue);
  std::vector<Prospect> prospects;
  for (const Entry& entry : study.entries)
    prospects.push_back(prospect(entry, options, catalogue));
  check_outputs({{"--csv", options.csv}, {"--json", options.json}});
  if (!simulate(prospects, options)) {
    complain("interrupted");
    return exit_interrupted;
  }
  Comparison comparison{study.name, study.question, {}, study.ratios};
  for (const Prospect& one : prospects)
    comparison.columns.push_back(one.column);
  answer(comparison);
  Outputs outputs;
  if (!options.quiet && options.csv != "-" && options.json != "-")
    outputs.print(to_text(comparison, Style(stdout_has_colour())));
  if (!options.csv.empty())
    outputs.write({"--csv", options.csv}, to_csv(comparison));
  if (!options.json.empty())
    outputs.write({"--json", options.json}, to_json(comparison));
  outputs.finish();
  const auto& columns = comparison.columns;
  auto told =
      std::find_if(columns.begin(), columns.end(), [](const Column& column) { return is_bug(column.run.status); });
  const int code = told != columns.end() ? exit_internal_error : exit_cannot_run;
  if (told == columns.end())
    told = std::find_if(columns.begin(), columns.end(),
                        [](const Column& column) { return column.run.status != Status::ok; });
  if (told == columns.end())
    return exit_done;
  complain(fmt::format("{}: {}", told->file, told->run.reason));
  return code;
}

} // namespace

Action setup_compare(CLI::App& command)
{
  auto options = std::make_shared<CompareOptions>();
  command
      .add_option("SCENARIO", options->files,
                  "two or more scenarios, or one study that names them: files, or names of the catalogue")
      ->required()
      ->check(or_listed("scenarios studies"));
  add_changes(command, options->changes);
  add_file(command, "--json", options->json, "also write all of it as JSON to FILE; - for standard output, alone");
  add_file(command, "--csv", options->csv, "also write the table as CSV to FILE; - for standard output, alone");
  add_fleet(command, options->fleet, "simgrid");
  command.add_flag("--quiet", options->quiet, "no table, no progress");
  return [options] { return compare(*options); };
}

} // namespace podsim
