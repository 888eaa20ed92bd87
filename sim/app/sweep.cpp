#include "scenarios/sweep.hpp"

#include "reports/remarks.hpp"
#include "scenarios/scenario.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/progress.hpp"
#include "sim/app/study_output.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/input.hpp"
#include "sim/engine/clock/simgrid_module.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "sim/evaluate/evaluation_bytes.hpp"
#include "sim/evaluate/figures.hpp"
#include "sim/jobs/engines.hpp"
#include "sim/jobs/signals.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace podsim {
namespace {

namespace fs = std::filesystem;

struct SweepOptions {
  std::string study, file, shard;
  StudyOutput output;
  FleetChoice fleet;
  bool retry = false;
};

struct Shard {
  int number = 1, count = 1;
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

// Which combinations there are, and what their scenarios come to.
struct Expansion {
  StoredStudy study;
  std::vector<StoredCombination> combinations;
};

Expansion expand(const Sweep& sweep, const SweepOptions& options, SweepScenarios& scenarios)
{
  const Shard shard = read_shard(options.shard);
  Expansion all;
  all.study   = {.name     = sweep.name,
                 .text     = sweep.text,
                 .digest   = {},
                 .version  = results_version(),
                 .shard    = shard.number,
                 .shards   = shard.count,
                 .left_out = std::vector<std::size_t>(sweep.constraints.size(), 0)};
  Json hashes = Json::array();
  for (std::size_t number = 0; number < sweep.size(); ++number) {
    const Combination one    = combination(sweep, number);
    const Document& document = scenarios.resolve(one);
    if (const int unmet = unmet_constraint(sweep, one, document, options.study); unmet >= 0) {
      ++all.study.left_out[static_cast<std::size_t>(unmet)];
      continue;
    }
    Json settings = Json::object();
    for (std::size_t i = 0; i < sweep.axes.size(); ++i)
      settings[sweep.axes[i].name] = one.labels[i];
    const bool mine =
        all.combinations.size() % static_cast<std::size_t>(shard.count) == static_cast<std::size_t>(shard.number - 1);
    all.combinations.push_back(
        {number, content_hash(document), settings.dump(-1, ' ', false, Json::error_handler_t::replace), mine});
    hashes.push_back(all.combinations.back().hash);
  }
  if (all.combinations.empty())
    throw InputError(fmt::format("{}: its constraints leave no combination", options.study));
  Document digested;
  *digested.json   = Json{{"study", parse_json(sweep.text, options.study)}, {"scenarios", std::move(hashes)}};
  all.study.digest = content_hash(digested);
  return all;
}

// What is wrong without the file or setting that a value came from: the same reasons are to count as one.
std::string reason_alone(std::string reason, const Combination& combination, const std::string& study,
                         SweepScenarios& scenarios)
{
  std::vector<std::string> prefixes{study + ": ", scenarios.file_of(combination) + ": "};
  for (const std::string& change : combination.changes)
    prefixes.push_back("--set " + printable(change) + ": ");
  for (const std::string& prefix : prefixes)
    if (reason.starts_with(prefix))
      reason.erase(0, prefix.size());
  return reason;
}

// A slip in the study, such as a misspelt key at the end of a path, is the user's to mend before anything runs or is
// stored: one in all of its scenarios, or in a single value of an axis, whatever the other axes say.
void check_readable(const Sweep& sweep, const Expansion& all, const SweepOptions& options, SweepScenarios& scenarios)
{
  std::size_t stride = sweep.size(); // between combinations that differ in the axis alone
  for (const SweepAxis& axis : sweep.axes) {
    stride /= axis.values.size();
    for (std::size_t i = 0; i < axis.values.size(); ++i) {
      const Combination one = combination(sweep, i * stride);
      try {
        scenarios.read(one);
      } catch (const MisreadError& wrong) {
        const std::string text = wrong.what();
        const bool own =
            std::any_of(axis.values[i].changes.begin(), axis.values[i].changes.end(),
                        [&](const auto& set) { return text.starts_with("--set " + printable(set) + ": "); });
        throw InputError(own ? fmt::format("{}: {} \"{}\": {}", options.study, axis.name,
                                           printable(axis.values[i].label),
                                           reason_alone(text, one, options.study, scenarios))
                             : fmt::format("{}: {}", options.study, text));
      } catch (const std::runtime_error&) { // what it is together with the first values of the others
      }
    }
  }
  std::string first;
  for (const StoredCombination& stored : all.combinations)
    try {
      scenarios.read(combination(sweep, stored.number));
      return;
    } catch (const InputError& wrong) {
      if (first.empty())
        first = reason_alone(wrong.what(), combination(sweep, stored.number), options.study, scenarios);
    } catch (const CannotRun&) {
      return;
    }
  throw InputError(fmt::format("{}: {}", options.study, first));
}

// What is kept of a run.
Figures figures_of(const Evaluation& run)
{
  Figures figures;
  for (const Figure* figure : figures_in(Listing::stored))
    if (const auto value = value_of(*figure, run))
      figures[figure->name] = *value;
  if (run.metrics)
    for (const auto& [name, time] : run.metrics->breakdowns[run.metrics->critical])
      if (std::isfinite(time.value()))
        figures["breakdown." + name] = time.value();
  return figures;
}

// In a worker, which goes on from the parent's scenarios and from what it prepared itself.
std::string simulate(const Combination& combination, const std::string& study, const std::string& engine,
                     SweepScenarios& scenarios, PreparedBefore& before)
{
  Evaluation result;
  try {
    const Prepared prepared = prepare(scenarios.read(combination), &before);
    result                  = evaluate(prepared, {.simulation = on_engine(engine), .before = &before});
  } catch (const InputError& wrong) {
    result.refuse({Status::input, reason_alone(wrong.what(), combination, study, scenarios)});
  } catch (const CannotRun& wrong) {
    result.refuse({Status::mesh, wrong.what()});
  }
  result.constants.clear(); // a row has no room for them, and they are most of the bytes
  return to_bytes(result);
}

StoredResult stored(const JobOutcome& outcome)
{
  if (outcome.status != Status::ok)
    return {outcome.status, one_line(describe(outcome)), {}};
  const Evaluation run   = evaluation_from_bytes(outcome.bytes);
  const std::string said = run.status == Status::ok ? fmt::format("{}", fmt::join(remarks(run), "; ")) : run.reason;
  return {run.status, one_line(said), figures_of(run)};
}

// Those of this shard that have no result; of several that come to the same scenario the first.
std::vector<const StoredCombination*> missing(const Expansion& all, const Store& store)
{
  const auto results = store.results(results_version());
  std::set<std::string> taken;
  std::vector<const StoredCombination*> jobs;
  for (const StoredCombination& one : all.combinations)
    if (one.mine && !results.contains(one.hash) && taken.insert(one.hash).second)
      jobs.push_back(&one);
  return jobs;
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

// Those whose hashes come first: the same ones whoever sweeps, and none that the study could favour.
std::vector<const StoredCombination*> sample(std::vector<const StoredCombination*> jobs)
{
  constexpr std::size_t most = 12;
  const std::size_t count    = std::min(most, (jobs.size() + 9) / 10);
  std::partial_sort(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(count), jobs.end(),
                    [](const auto* a, const auto* b) { return a->hash < b->hash; });
  jobs.resize(count);
  return jobs;
}

// Off the clock's grid (three flows on a link) what ends at one instant may be dealt with in another order, and sums
// rounded in another.
bool same_but_for_rounding(const Figures& a, const Figures& b)
{
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first &&
                  std::abs(x.second - y.second) <= 1e-12 * std::max(std::abs(x.second), std::abs(y.second));
         });
}

// Simulates a sample on SimGrid as well, whose word counts, and says so. A difference is a bug.
void check_on_simgrid(const std::vector<const StoredCombination*>& jobs, std::size_t simulated, const Sweep& sweep,
                      const std::map<std::string, StoredResult>& results, const SweepOptions& options,
                      SweepScenarios& scenarios)
{
  std::size_t checked = 0;
  bool to_the_bit     = true;
  const auto compare  = [&](std::size_t job, const JobOutcome& outcome) {
    const StoredResult& own = results.at(jobs[job]->hash);
    const bool lost         = std::find(worth_a_retry.begin(), worth_a_retry.end(), own.status) != worth_a_retry.end();
    if (outcome.status != Status::ok || lost) // there are no two results: too slow, interrupted, crashed
      return;
    const StoredResult its = stored(outcome);
    to_the_bit             = to_the_bit && own.figures == its.figures;
    if (own.status != its.status || own.reason != its.reason || !same_but_for_rounding(own.figures, its.figures))
      throw std::logic_error(fmt::format("the heap and SimGrid differ on {}: {} against {}", jobs[job]->settings,
                                          Json(own.figures).dump(), Json(its.figures).dump()));
    ++checked;
  };
  PreparedBefore before; // a copy for each worker
  try {
    start_simgrid(); // once for all workers
    run_jobs(
        jobs.size(),
        [&](std::size_t job) {
          return simulate(combination(sweep, jobs[job]->number), options.study, "simgrid", scenarios, before);
        },
        compare, fleet_options(options.fleet));
  } catch (const OutOfResources& lack) { // all is stored
    complain(fmt::format("warning: no check on SimGrid: {}", lack.what()));
  }
  if (checked > 0 && !options.output.quiet)
    complain(fmt::format("{} of {} scenarios were simulated on SimGrid as well: the same to {}", checked, simulated,
                         to_the_bit ? "the bit" : "12 digits"));
}

// Simulates what is not stored yet; nothing where that was interrupted.
std::optional<StudyTable> complete(const Sweep& sweep, const Expansion& all, const SweepOptions& options,
                                   SweepScenarios& scenarios)
{
  const DeferredSignals until_closed;
  Store store = Store::to_write(options.file);
  if (const auto before = store.study_name(); before && *before != all.study.name && !options.output.quiet)
    complain(fmt::format("{}: was about \"{}\" so far; its results stay, podsim results shows this study from now on",
                         options.file, *before));
  store.begin(all.study, all.combinations);
  if (options.retry)
    store.forget(results_version(), {worth_a_retry.begin(), worth_a_retry.end()});
  const auto jobs = missing(all, store);
  std::set<std::string> hashes; // several combinations may come to one scenario
  for (const StoredCombination& one : all.combinations)
    if (one.mine)
      hashes.insert(one.hash);
  const std::size_t mine = hashes.size();
  if (!options.output.quiet && !jobs.empty() && jobs.size() < mine)
    complain(fmt::format("{}: {} of {} scenarios are still to be simulated", options.file, jobs.size(), mine));

  FleetOptions fleet = fleet_options(options.fleet);
  fleet.on_interrupt = OnInterrupt::finish;
  fleet.quiet        = [&] { store.settle(); };
  std::size_t ended  = 0;
  bool whole         = true;
  const auto so_far  = [&] {
    return fmt::format("{} of {} scenarios are stored in {}; the same command again goes on from there",
                        mine - (jobs.size() - ended), mine, options.file);
  };
  const auto checked = options.fleet.engine == "simgrid" ? std::vector<const StoredCombination*>{} : sample(jobs);
  std::map<std::string, StoredResult> to_check;
  PreparedBefore before; // a copy for each worker
  try {
    ProgressBar progress("sweeping", jobs.size(), !options.output.quiet, ProgressBar::Elsewhere::lines);
    whole = run_jobs(
        jobs.size(),
        [&](std::size_t job) {
          return simulate(combination(sweep, jobs[job]->number), options.study, options.fleet.engine, scenarios,
                          before);
        },
        [&](std::size_t job, const JobOutcome& outcome) {
          if (outcome.status == Status::interrupted)
            return;
          const StoredResult result = stored(outcome);
          store.add(jobs[job]->hash, results_version(), result);
          if (std::find(checked.begin(), checked.end(), jobs[job]) != checked.end())
            to_check[jobs[job]->hash] = result;
          ++ended;
          progress.job_ended(result.status != Status::ok);
        },
        fleet);
  } catch (const OutOfResources& lack) {
    throw OutOfResources(fmt::format("{}; {}", lack.what(), so_far()));
  }
  store.settle();
  if (!whole && ended < jobs.size()) {
    complain("interrupted: " + so_far());
    return {};
  }
  if (!checked.empty())
    check_on_simgrid(checked, jobs.size(), sweep, to_check, options, scenarios);
  return study_table(store, sweep);
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
  const Expansion all = expand(sweep, options, scenarios);
  check_readable(sweep, all, options, scenarios);
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
