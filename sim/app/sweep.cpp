#include "reports/remarks.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/progress.hpp"
#include "sim/app/study_output.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/input.hpp"
#include "sim/jobs/signals.hpp"
#include "sim/studies/run_sweep.hpp"

#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace podsim {
namespace {

namespace fs = std::filesystem;

struct SweepOptions {
  std::string study, file, shard;
  StudyOutput output;
  FleetChoice fleet;
  bool retry = false;
};

Shard read_shard(const std::string& text)
{
  if (text.empty())
    return {};
  Shard shard;
  const char* const end    = text.data() + text.size();
  const auto [slash, good] = std::from_chars(text.data(), end, shard.number);
  const bool parted        = good == std::errc() && slash != end && *slash == '/';
  const auto [rest, fine] =
      parted ? std::from_chars(slash + 1, end, shard.count) : std::from_chars(end, end, shard.count);
  if (!parted || fine != std::errc() || rest != end || shard.number < 1 || shard.number > shard.count)
    throw InputError(fmt::format("--shard: expected I/N with I from 1 to N, like 2/8, found \"{}\"", printable(text)));
  return shard;
}

std::string default_file(const SweepOptions& options)
{
  const Shard shard      = read_shard(options.shard);
  const std::string stem = fs::path(options.study).stem().string();
  if (folder_of(options.study) != fs::path(options.study).parent_path() || is_standard_input(options.study))
    throw InputError(fmt::format("--db: a study from {} has no name for a file of its results; give one",
                                 is_standard_input(options.study) ? "standard input" : "a pipe"));
  return shard.count > 1 ? fmt::format("{}.{}-of-{}.sqlite", stem, shard.number, shard.count) : stem + ".sqlite";
}

// What there is to show after simulating what is not stored yet; nothing where that was interrupted.
std::optional<StudyTable> complete(const Sweep& sweep, const Expansion& all, const SweepOptions& options,
                                   SweepScenarios& scenarios)
{
  const DeferredSignals until_closed;
  const auto tell = [&](const std::string& line) {
    if (!options.output.quiet)
      complain(line);
  };
  Store store = Store::to_write(options.file, complain);
  if (const auto before = store.study_name(); before && *before != all.study.name)
    tell(fmt::format("{}: was about \"{}\" so far; its results stay, podsim results shows this study from now on",
                     options.file, *before));
  store.begin(all.study, all.combinations);
  std::optional<ProgressBar> bar;
  const auto begin = [&](std::size_t jobs) {
    bar.emplace("sweeping", jobs, !options.output.quiet, ProgressBar::Elsewhere::lines);
  };
  const bool whole = run_sweep(sweep, all, store, scenarios,
                               {.engine    = options.fleet.engine,
                                .fleet     = fleet_options(options.fleet),
                                .retry     = options.retry,
                                .remarks   = remarks,
                                .tell      = tell,
                                .warn      = complain,
                                .begin     = begin,
                                .job_ended = [&](bool failed) { bar->job_ended(failed); },
                                .end       = [&] { bar.reset(); }});
  return whole ? std::optional(study_table(store, sweep)) : std::nullopt;
}

int sweep(SweepOptions options)
{
  const Catalogue catalogue = Catalogue::beside_program();
  options.study             = catalogue.find(Shelf::studies, options.study);
  if (options.file.empty())
    options.file = default_file(options);
  const Sweep sweep = read_sweep(options.study);
  check(options.output, sweep);
  SweepScenarios scenarios(options.study, catalogue);
  const Expansion all = expand(sweep, read_shard(options.shard), scenarios);
  check_readable(sweep, all, scenarios);
  check_outputs({{"--csv", options.output.csv}, {"--json", options.output.json}}, options.file);
  check_outputs({{"--db", options.file}});
  auto table = complete(sweep, all, options, scenarios);
  return table ? write_study(std::move(*table), options.output) : exit_interrupted;
}

} // namespace

Action setup_sweep(CLI::App& command)
{
  auto options = std::make_shared<SweepOptions>();
  command
      .add_option("STUDY", options->study,
                  "study with a base scenario and axes of values: a file, or the name of one that comes with podsim")
      ->required()
      ->check(or_listed("studies"));
  add_file(command, "--db", options->file, "SQLite file that keeps the results; without it STUDY.sqlite, here");
  add_fleet(command, options->fleet, "heap");
  command.add_option("--shard", options->shard, "only the Ith of N equal shares, for podsim merge")->type_name("I/N");
  command.add_flag("--retry", options->retry, "run again what crashed or took too long");
  add_study_output(command, options->output);
  return [options] { return sweep(*options); };
}

} // namespace podsim
