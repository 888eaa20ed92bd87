#include "sim/studies/run_sweep.hpp"

#include "sim/core/errors.hpp"
#include "sim/engine/clock/simgrid_module.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "sim/evaluate/evaluation_bytes.hpp"
#include "sim/evaluate/figures.hpp"
#include "sim/jobs/engines.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace podsim {
namespace {

const char* const simgrid = "simgrid";

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

// Those of this shard that have no result; of several that come to the same scenario the first.
std::vector<const StoredCombination*> missing(const Expansion& all, const Store& store)
{
  std::set<std::string> known = store.hashes(results_version());
  std::vector<const StoredCombination*> jobs;
  for (const StoredCombination& one : all.combinations)
    if (one.mine && known.insert(one.hash).second)
      jobs.push_back(&one);
  return jobs;
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

class Run {
public:
  Run(const Sweep& sweep, const Expansion& all, Store& store, SweepScenarios& scenarios, const SweepRun& how)
      : sweep_(sweep), store_(store), scenarios_(scenarios), how_(how), jobs_(missing(all, store))
  {
    std::set<std::string> hashes; // several combinations may come to one scenario
    for (const StoredCombination& one : all.combinations)
      if (one.mine)
        hashes.insert(one.hash);
    mine_ = hashes.size();
    if (how.engine != simgrid)
      checked_ = sample(jobs_);
  }

  bool run()
  {
    if (!jobs_.empty() && jobs_.size() < mine_)
      how_.tell(fmt::format("{}: {} of {} scenarios are still to be simulated", store_.file(), jobs_.size(), mine_));
    FleetOptions fleet = how_.fleet;
    fleet.on_interrupt = OnInterrupt::finish;
    fleet.quiet        = [&] { store_.settle(); };
    how_.begin(jobs_.size());
    bool whole = true;
    try {
      whole = run_jobs(
          jobs_.size(), [&](std::size_t job) { return simulate(*jobs_[job], how_.engine); },
          [&](std::size_t job, const JobOutcome& outcome) { keep(*jobs_[job], outcome); }, fleet);
    } catch (const OutOfResources& lack) {
      throw OutOfResources(fmt::format("{}; {}", lack.what(), so_far()));
    }
    how_.end();
    store_.settle();
    if (!whole && ended_ < jobs_.size()) {
      how_.warn("interrupted: " + so_far());
      return false;
    }
    return !whole || checked_.empty() || check_on_simgrid(); // all is stored
  }

private:
  // In a worker, which goes on from its copy of the parent's scenarios and from what it prepared itself.
  std::string simulate(const StoredCombination& stored, const std::string& engine)
  {
    const Combination one = combination(sweep_, stored.number);
    Evaluation result;
    try {
      const Prepared prepared = prepare(scenarios_.read(one), &before_);
      result                  = evaluate(prepared, {.simulation = on_engine(engine), .before = &before_});
    } catch (const InputError& wrong) {
      result.refuse({Status::input, reason_alone(wrong.what(), one, scenarios_)});
    } catch (const CannotRun& wrong) {
      result.refuse({Status::mesh, wrong.what()});
    }
    result.constants.clear(); // a row has no room for them, and they are most of the bytes
    return to_bytes(result);
  }

  StoredResult result_of(const JobOutcome& outcome) const
  {
    if (outcome.status != Status::ok)
      return {outcome.status, one_line(describe(outcome)), {}};
    const Evaluation run = evaluation_from_bytes(outcome.bytes);
    const std::string said =
        run.status == Status::ok ? fmt::format("{}", fmt::join(how_.remarks(run), "; ")) : run.reason;
    return {run.status, one_line(said), figures_of(run)};
  }

  void keep(const StoredCombination& job, const JobOutcome& outcome)
  {
    if (outcome.status == Status::interrupted)
      return;
    const StoredResult result = result_of(outcome);
    store_.add(job.hash, results_version(), result);
    if (std::find(checked_.begin(), checked_.end(), &job) != checked_.end())
      to_check_[job.hash] = result;
    ++ended_;
    how_.job_ended(result.status != Status::ok);
  }

  std::string so_far() const
  {
    return fmt::format("{} of {} scenarios are stored in {}; the same command again goes on from there",
                       mine_ - (jobs_.size() - ended_), mine_, store_.file());
  }

  // Simulates the sample on SimGrid as well, whose word counts, and says so. A difference is a bug.
  bool check_on_simgrid()
  {
    std::size_t compared = 0;
    bool to_the_bit      = true;
    const auto compare   = [&](std::size_t job, const JobOutcome& outcome) {
      const StoredResult& own = to_check_.at(checked_[job]->hash);
      const bool lost = std::find(worth_a_retry.begin(), worth_a_retry.end(), own.status) != worth_a_retry.end();
      if (outcome.status != Status::ok || lost) // there are no two results: too slow, interrupted, crashed
        return;
      const StoredResult its = result_of(outcome);
      to_the_bit             = to_the_bit && own.figures == its.figures;
      if (own.status != its.status || own.reason != its.reason || !same_but_for_rounding(own.figures, its.figures))
        throw std::logic_error(fmt::format("the heap and SimGrid differ on {}: {} against {}", checked_[job]->settings,
                                             nlohmann::json(own.figures).dump(), nlohmann::json(its.figures).dump()));
      ++compared;
    };
    bool whole = true;
    try {
      start_simgrid(); // once for all workers
      whole = run_jobs(
          checked_.size(), [&](std::size_t job) { return simulate(*checked_[job], simgrid); }, compare, how_.fleet);
    } catch (const OutOfResources& lack) { // all is stored
      how_.warn(fmt::format("warning: no check on SimGrid: {}", lack.what()));
    }
    if (compared > 0)
      how_.tell(fmt::format("{} of {} scenarios were simulated on SimGrid as well: the same to {}", compared,
                            jobs_.size(), to_the_bit ? "the bit" : "12 digits"));
    if (!whole)
      how_.warn(
          fmt::format("interrupted while a sample was simulated on SimGrid as well; all scenarios are stored in {}",
                      store_.file()));
    return whole;
  }

  const Sweep& sweep_;
  Store& store_;
  SweepScenarios& scenarios_;
  const SweepRun& how_;
  PreparedBefore before_; // of each worker its own
  std::vector<const StoredCombination*> jobs_;
  std::vector<const StoredCombination*> checked_; // of them, the sample
  std::map<std::string, StoredResult> to_check_;  // of the sample, by hash
  std::size_t mine_ = 0, ended_ = 0;              // scenarios of this shard; jobs that have a result
};

} // namespace

bool run_sweep(const Sweep& sweep, const Expansion& all, Store& store, SweepScenarios& scenarios, const SweepRun& how)
{
  if (how.retry)
    store.forget(results_version(), {worth_a_retry.begin(), worth_a_retry.end()});
  return Run(sweep, all, store, scenarios, how).run();
}

} // namespace podsim
