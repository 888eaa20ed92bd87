#include "tests/random/checks.hpp"

#include "reports/json.hpp"
#include "sim/collectives/dcn_ring.hpp"
#include "sim/collectives/duration.hpp"
#include "sim/jobs/engines.hpp"
#include "tests/random/draw.hpp"
#include "tests/random/rewordings.hpp"
#include "tests/random/simulated.hpp"
#include "tests/support/evaluator.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <stdexcept>

namespace podsim::test {
namespace {

using nlohmann::json;

// Of times that are sums of shares of links, which are no whole ticks; a short step of many transmissions has many
// roundings.
constexpr double rounding = 1e-7;

// ---- Ways of simulating one scenario ----

struct TwoWays {
  const char* name;
  Way one, other;
};

const std::vector<TwoWays>& two_ways()
{
  constexpr auto chunk = Granularity::chunk;
  static const std::vector<TwoWays> all{
      {"folded is explicit", {.skips = false}, {.explicit_devices = true, .skips = false}},
      {"folded is explicit, by chunks",
       {.granularity = chunk, .skips = false},
       {.granularity = chunk, .explicit_devices = true, .skips = false}},
      {"skipped is every layer", {}, {.skips = false}},
      {"skipped is every layer, by chunks", {.granularity = chunk}, {.granularity = chunk, .skips = false}},
      {"skipped is every layer, explicit", {.explicit_devices = true}, {.explicit_devices = true, .skips = false}},
      {"auto is chunk", {}, {.granularity = chunk}},
  };
  return all;
}

Verdict same_both_ways(const Case& c, const TwoWays& ways)
{
  const Prepared& prepared  = prepared_from(c.scenario);
  const std::string differs = difference(measured(prepared, ways.one), measured(prepared, ways.other));
  return differs.empty() ? well : fails(differs);
}

// One event for a whole collective ends as its chunks would together; breakdowns have no finer parts then.
Verdict automatic_is_chunk(const Case& c, const TwoWays& ways)
{
  const Prepared& prepared = prepared_from(c.scenario);
  const double one         = measured(prepared, ways.one).metrics.step_time.value();
  const double other       = measured(prepared, ways.other).metrics.step_time.value();
  // Where faults put devices out of step, one event over several rings waits for all that they join.
  const double bound = prepared.scenario.faults.empty() ? rounding : 1e-5;
  return std::abs(one / other - 1) <= bound ? well : fails(unequal("step", one, other));
}

// ---- A second opinion ----

// All that is reported, with faults too.
Verdict heap_is_simgrid(const Case& c, Granularity granularity)
{
  const auto reported = [&](const std::string& engine) {
    EvaluationOptions options{on_engine(engine)};
    options.simulation.granularity = granularity;
    Evaluation result              = evaluate(prepared_from(c.scenario), options);
    json all                       = json::parse(to_json(result));
    all.erase("simulation"); // with how many events, or none
    return all;
  };
  const json its     = reported("simgrid");
  const json own     = reported("heap");
  const json differs = json::diff(its, own);
  // Off the clock's grid what ends at one instant may be dealt with in another order, and sums rounded in another.
  const bool all_numbers = std::all_of(differs.begin(), differs.end(), [&](const json& one) {
    const json::json_pointer at(one.at("path").get<std::string>());
    return one.at("op") == "replace" && its[at].is_number_float() && own[at].is_number_float() &&
           std::abs(its[at].get<double>() - own[at].get<double>()) <= 1e-12 * std::abs(its[at].get<double>());
  });
  return all_numbers ? well : fails("heap against SimGrid: " + differs.front().dump());
}

// Of what the evaluator models: TPUs, whose computation no collective slows down, whole hosts whose buses carry more
// than their NICs, rings that go from axis to axis, those between pods last, and no all-to-alls, receives that wait for
// nobody.
Verdict engine_is_evaluator(const Case& c, Granularity granularity)
{
  const Prepared& prepared = prepared_from(c.scenario);
  const Scenario& s        = prepared.scenario;
  const Machine& machine   = s.machine;
  if (!s.faults.empty() || c.scenario.at("machine").contains("nvlink") || s.training().model.experts.count > 0 ||
      s.software.collectives.multi_axis == MultiAxis::pipelined ||
      s.software.collectives.dcn_all_reduce != dcn_ring_all_reduce ||
      s.software.compilation.transfers.blocking_receives)
    return passed_over("beyond what the evaluator models");
  if (machine.pods() > 1) {
    if (machine.host.pcie_bandwidth * static_cast<double>(machine.devices_per_host()) < machine.host.nic_bandwidth)
      return passed_over("buses slower than NICs");
    for (std::size_t axis = 0; axis < machine.dcn_axis(); ++axis)
      if (machine.lattice.axes[axis].size % machine.host.block[axis] != 0)
        return passed_over("hosts that lack chips");
  }
  const Timeline own = evaluate(prepared.sharded, machine, s.placement, s.software.collectives.multi_axis, granularity);
  if (own.contended)
    return passed_over("links are shared");
  const double expected = to_seconds(static_cast<double>(own.end)).value();
  const double engine   = measured(prepared, {.granularity = granularity}).trace.end.value();
  return std::abs(engine - expected) <= 1e-9 * expected ? well : fails(unequal("end", engine, expected));
}

// ---- Slower is never faster ----

json slowed(json& scenario, Dice& dice)
{
  Slowdown two = draw_slowdown(scenario, dice);
  scenario     = std::move(two.faster);
  return two.slower;
}

// The machine's axes, as bits, whose links a mesh axis uses.
std::uint32_t links_of(AxisMask axes, const Placement& placement)
{
  std::uint32_t used = 0;
  for (std::size_t i = 0; i < placement.size(); ++i)
    for (const AxisFactor& factor : placement[i])
      if ((axes >> i & 1U) != 0 && factor.length > 1)
        used |= 1U << factor.axis;
  return used;
}

// Whether parts of one collective may be on one axis at a time: on a healthy machine where that shows in its plan, with
// faults wherever there are several.
bool parts_compete(const Prepared& prepared)
{
  const TimedProgram timed = timed_program(prepared, Granularity::automatic);
  for (const TimedBlocks& program : timed.programs)
    for (const std::vector<TimedOperation>& block : program)
      for (const TimedOperation& op : block)
        if (op.plan.parts.size() > 1 && !op.plan.exchange &&
            (!prepared.scenario.machine.overrides.empty() ||
             shares_links_with_itself(op.plan, prepared.scenario.machine)))
          return true;
  return false;
}

// Whether things that need not wait for each other may want one link at a time. Then there are true anomalies: two
// chips of a host that compute for c and send for s over its NIC take c + 2 s a turn in step, and c + s out of step.
// Three messages that leave a stage after c, 2 c and 3 c share its NIC, and the first arrives after 3 s - 1.5 c: sooner
// where the stage is slower. And parts of one collective over unequal axes: the one that comes later to an axis leaves
// more of it to the one that ends last.
bool links_are_competed_for(const Prepared& prepared)
{
  const Machine& machine         = prepared.scenario.machine;
  const Placement& placement     = prepared.scenario.placement;
  std::uint32_t waiting          = 0;
  std::uint32_t beside           = 0;
  bool asynchronous_ones_compete = false;
  std::map<AxisMask, std::uint32_t> queues;
  for (const auto& program : prepared.sharded.programs)
    for (const DeviceBlock& block : program.blocks)
      for (const DeviceOperation& op : block.operations)
        if (op.kind == DeviceOperation::Kind::collective) {
          const std::uint32_t links = links_of(op.collective.axes, placement);
          if (op.asynchronous)
            queues[op.collective.axes] = links;
          for (const auto& [axes, others] : queues)
            asynchronous_ones_compete |= op.asynchronous && axes != op.collective.axes && (others & links) != 0;
          (op.asynchronous ? beside : waiting) |= links;
        }
  if ((waiting & beside) != 0 || asynchronous_ones_compete || parts_compete(prepared))
    return true;
  for (const AxisPlacement& axis : placement) // parts of one axis
    for (std::size_t i = 1; i < axis.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (axis[i].axis == axis[j].axis && axis[i].length > 1 && axis[j].length > 1)
          return true;
  const std::uint32_t stages =
      prepared.sharded.pipeline ? links_of(AxisMask{1} << *prepared.sharded.pipeline, placement) : 0;
  const auto over_nics          = [&](std::uint32_t links) { return (links >> machine.dcn_axis() & 1U) != 0; };
  const bool in_flight_together = prepared.sharded.pipeline && !prepared.sharded.blocking_transfers; // two messages
  return (stages & (waiting | beside)) != 0 || in_flight_together ||
         over_nics(stages) || // over which a stage sends both ways
         (over_nics(waiting | beside) && machine.devices_per_host() > 1);
}

Verdict slower_is_not_faster(const Case& c, Granularity granularity)
{
  const double faster = step_of(c.scenario, {.granularity = granularity});
  const double slower = step_of(c.other, {.granularity = granularity});
  if (slower >= faster * (1 - rounding))
    return well;
  const std::string says = unequal("slowed down: step", slower, faster);
  if (links_are_competed_for(prepared_from(c.scenario)) && slower > faster / 2)
    return {Verdict::Kind::anomaly, says};
  return fails(says);
}

// ---- What cannot be ----

// The FLOPs and HBM bytes that one device of a stage executes in a step.
Work executed(const ShardedProgram& program, std::size_t stage)
{
  Work sum;
  double flops = 0;
  for (const Step& step : program.stages[stage].steps)
    for (const DeviceOperation& op :
         program.program_of(stage).blocks[static_cast<std::size_t>(step.block)].operations) {
      flops += op.work.matrix.flops().value() * static_cast<double>(step.count);
      sum.hbm += op.work.hbm * static_cast<double>(step.count);
    }
  sum.matrix = {1, flops / 2, 1, 1};
  return sum;
}

Verdict beyond_bounds(const Prepared& prepared, const Metrics& m)
{
  const Scenario& s  = prepared.scenario;
  const double tight = 1 + 1e-9;
  for (const LinkUse& link : m.links)
    if (link.busy_fraction > tight)
      return fails(fmt::format("{} is busy {:.9g} of the time", link.name, link.busy_fraction));
  for (std::size_t stage = 0; stage < prepared.sharded.stages.size(); ++stage) {
    const Work work    = executed(prepared.sharded, stage);
    const double flops = work.matrix.flops() / s.machine.chip.matrix_peak / m.step_time;
    const double bytes = work.hbm / s.machine.chip.hbm_bandwidth / m.step_time;
    if (flops > tight || bytes > tight)
      return fails(fmt::format("stage {}: {:.9g} of the peak, {:.9g} of HBM's bandwidth", stage, flops, bytes));
  }
  const double tokens = static_cast<double>(s.training().step.batch) * static_cast<double>(s.training().step.sequence);
  if (m.tokens_per_step != tokens || std::abs(m.tokens_per_s * m.step_time.value() / tokens - 1) > 1e-12)
    return fails(unequal("tokens", m.tokens_per_step, tokens));
  if (!(m.bubble >= 0 && m.bubble <= 1))
    return fails(fmt::format("bubble {}", m.bubble));
  return well;
}

Verdict nothing_impossible(const Case& c)
{
  const Prepared& prepared = prepared_from(c.scenario);
  const Measured& run      = measured(prepared, {});
  for (std::size_t own = 0; own < run.metrics.breakdowns.size(); ++own) {
    double sum = 0;
    for (const auto& [name, time] : run.metrics.breakdowns[own]) {
      sum += time.value();
      if (!(time >= Seconds(0)))
        return fails(fmt::format("breakdown of class {}: {} is {:.9g} s", own, name, time.value()));
    }
    if (std::abs(sum / run.metrics.step_time.value() - 1) > 1e-9)
      return fails(unequal(fmt::format("breakdown of class {}: sum", own), sum, run.metrics.step_time.value()));
  }
  if (const Verdict chunks = beyond_bounds(prepared, measured(prepared, {.granularity = Granularity::chunk}).metrics);
      chunks.kind == Verdict::Kind::fails)
    return fails("by chunks: " + chunks.says);
  return beyond_bounds(prepared, run.metrics);
}

// What each stage keeps of all its forward passes: at the moment that needs most, which may be another one, it is less.
std::vector<double> kept_by_stage(const ShardedProgram& program)
{
  std::vector<double> all;
  for (std::size_t stage = 0; stage < program.stages.size(); ++stage) {
    double& kept = all.emplace_back(0);
    for (const Step& step : program.stages[stage].steps)
      kept += program.program_of(stage).blocks[static_cast<std::size_t>(step.block)].saved.value() * step.count;
  }
  return all;
}

// What is kept for the backward pass takes memory. (What is needed in all need not: to recompute a single layer takes
// what keeping it would, and its input.)
Verdict memory_is_monotone(const Case& c)
{
  std::vector<std::pair<const char*, std::vector<double>>> rising;
  for (const char* remat : {"full", "every-second-layer", "attention", "none"}) {
    json other                 = c.scenario;
    other["workload"]["remat"] = remat;
    rising.emplace_back(remat, kept_by_stage(prepared_from(other).sharded));
  }
  for (const auto& [i, j] : {std::pair(0U, 1U), std::pair(1U, 3U), std::pair(0U, 2U), std::pair(2U, 3U)})
    for (std::size_t stage = 0; stage < rising[i].second.size(); ++stage)
      if (rising[i].second[stage] > rising[j].second[stage])
        return fails(fmt::format("stage {}: {} keeps {:.0f} bytes, {} {:.0f}", stage, rising[i].first,
                                 rising[i].second[stage], rising[j].first, rising[j].second[stage]));
  return well;
}

std::vector<Check> all_checks()
{
  std::vector<Check> all;
  for (const TwoWays& ways : two_ways())
    all.push_back({ways.name,
                   [&ways](const Case& c) {
                     return std::string(ways.name) == "auto is chunk" ? automatic_is_chunk(c, ways)
                                                                      : same_both_ways(c, ways);
                   },
                   {}});
  all.push_back(
      {"engine is evaluator", [](const Case& c) { return engine_is_evaluator(c, Granularity::collective); }, {}});
  all.push_back(
      {"engine is evaluator, by chunks", [](const Case& c) { return engine_is_evaluator(c, Granularity::chunk); }, {}});
  all.push_back(
      {"slower is not faster", [](const Case& c) { return slower_is_not_faster(c, Granularity::automatic); }, slowed});
  all.push_back({"slower is not faster, by chunks",
                 [](const Case& c) { return slower_is_not_faster(c, Granularity::chunk); }, slowed});
  all.push_back({"heap is SimGrid", [](const Case& c) { return heap_is_simgrid(c, Granularity::automatic); }, {}, 0.5});
  all.push_back(
      {"heap is SimGrid, by chunks", [](const Case& c) { return heap_is_simgrid(c, Granularity::chunk); }, {}, 0.5});
  all.push_back({"nothing impossible", nothing_impossible, {}});
  all.push_back({"memory is monotone", memory_is_monotone, {}});
  all.push_back({"turned is the same", turned_is_same, turned, 0.5, true});
  all.push_back({"order of keys says nothing", key_order_says_nothing, {}, 0.1});
  all.push_back({"--set is file", set_is_file, stripped, 1, true});
  all.push_back({"in two parts is the same", parted_is_same, parted, 0.5, true});
  all.push_back({"program is library", program_is_library, {}, 0.02});
  return all;
}

} // namespace

const std::vector<Check>& checks()
{
  static const std::vector<Check> all = all_checks();
  return all;
}

const Check& check_called(const std::string& name)
{
  for (const Check& check : checks())
    if (name == check.name)
      return check;
  throw InputError(fmt::format("there is no check \"{}\"", name));
}

std::string refusal(const json& scenario)
{
  try {
    const Prepared& prepared = prepared_from(scenario);
    const Scenario& s        = prepared.scenario;
    if (s.machine.devices() < 2)
      return "one device";
    if (const Evaluation described = describe(prepared); described.status != Status::ok)
      return word(described.status);
    if (simulation_estimate(s.machine.devices(), prepared.sharded, timed_program(prepared, Granularity::chunk)) >
        Seconds(0.5))
      return "would take long";
    return {};
  } catch (const InputError& refused) {
    return refused.what();
  } catch (const CannotRun& refused) {
    return refused.what();
  }
}

std::vector<std::string> first_differences(const Case& failing)
{
  for (const TwoWays& ways : two_ways())
    if (failing.check == ways.name)
      return first_differences(prepared_from(failing.scenario), ways.one, ways.other);
  return {};
}

} // namespace podsim::test
