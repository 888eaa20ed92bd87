#include "sim/engine/timed_program.hpp"

#include <algorithm>
#include <boost/dynamic_bitset.hpp>
#include <map>
#include <set>

namespace podsim {
namespace {

// The links that a plan uses: a bit for each axis of the lattice.
std::uint32_t links_used(const Plan& plan)
{
  std::uint32_t axes = 0;
  each_phase(plan, [&](const Phase& phase) { axes |= 1U << phase.factor().axis; });
  return axes;
}

struct Place {
  std::size_t block, operation;
};

using Operations = boost::dynamic_bitset<>; // of a block

// What must end before each operation begins. All edges of the graph lead to later operations.
std::vector<Operations> predecessors(const DeviceBlock& block)
{
  const PrecedenceGraph graph = precedence(block);
  std::vector<Operations> before(block.operations.size(), Operations(block.operations.size()));
  for (std::size_t o = 0; o < before.size(); ++o)
    for (auto [edge, last] = out_edges(o, graph); edge != last; ++edge) {
      Operations& later = before[target(*edge, graph)];
      later |= before[o];
      later.set(o);
    }
  return before;
}

// On closed rings where all do the same, all devices reach everything together.
bool all_in_step(const ShardedProgram& program, const Machine& machine, const Placement& placement)
{
  for (const AxisPlacement& axis : placement)
    for (const AxisFactor& factor : axis)
      if (!factor.closed && factor.length > 1)
        return false;
  return machine.overrides.empty() && !program.pipeline;
}

class Granulation {
public:
  Granulation(const ShardedProgram& whole, const DeviceProgram& program, TimedBlocks& timed, const Machine& machine,
              const Placement& placement, bool slow_links_by_chunks)
      : whole_(whole), blocks_(program.blocks), timed_(timed), machine_(machine),
        in_step_(all_in_step(whole, machine, placement)),
        crowded_(whole.pipeline ? 1U << stage_factor(whole, placement).axis : 0)
  {
    if (!slow_links_by_chunks)
      return;
    for (const auto& [link, speed] : machine.overrides.links)
      crowded_ |= 1U << link.axis;
    if (!machine.overrides.hosts.empty())
      crowded_ |= 1U << machine.dcn_axis();
  }

  void decide()
  {
    std::vector<Place> collectives;
    for (std::size_t b = 0; b < blocks_.size(); ++b)
      for (std::size_t o = 0; o < blocks_[b].operations.size(); ++o)
        if (blocks_[b].operations[o].kind == DeviceOperation::Kind::collective)
          collectives.push_back({b, o});
    const bool one_kind = machine_.overrides.empty() && !stages_share_nics() && all_over_the_same(collectives);
    for (std::size_t i = 0; i < collectives.size(); ++i) {
      TimedOperation& own = timed(collectives[i]);
      const bool uneven   = (links_used(own.plan) & crowded_) != 0 || (!one_kind && lets_go_early(own.plan));
      own.chunked         = own.chunked || uneven || (!in_step_ && shares_links_with_itself(own.plan, machine_));
      for (std::size_t j = i + 1; j < collectives.size(); ++j) {
        TimedOperation& other = timed(collectives[j]);
        if ((links_used(own.plan) & links_used(other.plan)) != 0 && may_meet(collectives[i], collectives[j])) {
          own.chunked   = true;
          other.chunked = true;
        }
      }
    }
  }

private:
  // Where those who are done early only meet the same again, that is all the same; what they do with others meanwhile
  // is not, nor when they send to the next stage over a NIC that they share with the others.
  static bool lets_go_early(const Plan& plan)
  {
    bool early = false;
    each_phase(plan, [&](const Phase& phase) { early = early || phase.lets_go_early(); });
    return early;
  }

  bool stages_share_nics() const
  {
    return (crowded_ >> machine_.dcn_axis() & 1U) != 0 && whole_.pipeline && machine_.devices_per_host() > 1;
  }

  bool all_over_the_same(const std::vector<Place>& collectives) const
  {
    return std::all_of(collectives.begin(), collectives.end(), [&](const Place& one) {
      return operation(one).collective.axes == operation(collectives.front()).collective.axes;
    });
  }

  TimedOperation& timed(const Place& place) { return timed_[place.block][place.operation]; }
  const DeviceOperation& operation(const Place& place) const
  {
    return blocks_[place.block].operations[place.operation];
  }

  // One that may run beyond its own iteration: gathered ahead, or awaited by nobody there.
  bool roams(const Place& place)
  {
    const DeviceOperation& op = operation(place);
    if (!op.asynchronous)
      return false;
    return !is_awaited(place) || (op.needs.empty() && whole_.prefetch_iterations > 0);
  }

  bool is_awaited(const Place& place)
  {
    std::vector<bool>& known = awaited_[place.block];
    if (known.empty())
      known = awaited(blocks_[place.block]);
    return known[place.operation];
  }

  bool may_meet(const Place& a, const Place& b)
  {
    const DeviceOperation& first  = operation(a);
    const DeviceOperation& second = operation(b);
    if (!first.asynchronous && !second.asynchronous)
      return false; // both stand in the order
    if (first.asynchronous && second.asynchronous && first.collective.axes == second.collective.axes)
      return false; // one queue
    if (roams(a) || roams(b))
      return true;
    if (a.block != b.block)
      return false;
    std::vector<Operations>& before = before_[a.block];
    if (before.empty())
      before = predecessors(blocks_[a.block]);
    return !before[b.operation][a.operation] && !before[a.operation][b.operation];
  }

  const ShardedProgram& whole_;
  const std::vector<DeviceBlock>& blocks_;
  TimedBlocks& timed_;
  const Machine& machine_;
  std::map<std::size_t, std::vector<Operations>> before_; // by block, as they come to be needed
  std::map<std::size_t, std::vector<bool>> awaited_;      // likewise
  bool in_step_;
  std::uint32_t crowded_; // lattice axes that stages send over, or with slow links or NICs
};

// On GPUs a collective is a kernel: while it runs beside the computation it occupies some processors, and the
// computation of that time goes on with the others. What is lost is added to the operation that follows the
// collective's place in the order, and is never more than if the block's whole computation had run beside collectives.
void add_contention(const DeviceBlock& block, std::vector<Ticks>& durations, double share)
{
  if (share <= 0)
    return;
  const auto computes = [&](std::size_t i) {
    return block.operations[i].kind == DeviceOperation::Kind::compute && durations[i] > 0;
  };
  double left = 0;
  for (std::size_t i = 0; i < durations.size(); ++i)
    left += computes(i) ? static_cast<double>(durations[i]) * share / (1 - share) : 0;
  for (std::size_t i = 0; i < durations.size(); ++i) {
    if (block.operations[i].kind != DeviceOperation::Kind::collective || !block.operations[i].asynchronous)
      continue;
    const double lost = std::min(left, static_cast<double>(durations[i]) * share);
    std::size_t next  = i;
    while (next < durations.size() && !computes(next))
      ++next;
    if (next == durations.size())
      for (next = i; next > 0 && !computes(next);)
        --next;
    if (!computes(next))
      continue;
    durations[next] += static_cast<Ticks>(lost);
    left -= lost;
  }
}

// The durations of all operations on a device of this speed; what is no computation takes as long as on any.
void add_speed(const Speed& speed, const ShardedProgram& program, const Chip& catalogue, TimedProgram& timed)
{
  const Chip chip    = at_speed(catalogue, speed);
  DeviceTimes& times = timed.speeds.emplace_back(DeviceTimes{speed, {}});
  for (std::size_t p = 0; p < program.programs.size(); ++p) {
    auto& blocks = times.durations.emplace_back();
    for (std::size_t b = 0; b < program.programs[p].blocks.size(); ++b) {
      const DeviceBlock& block      = program.programs[p].blocks[b];
      std::vector<Ticks>& durations = blocks.emplace_back();
      for (std::size_t o = 0; o < block.operations.size(); ++o) {
        const DeviceOperation& op = block.operations[o];
        const Seconds time =
            op.kind == DeviceOperation::Kind::compute ? operation_time(op.work, chip).total() : Seconds(0);
        durations.push_back(op.kind != DeviceOperation::Kind::compute ? timed.programs[p][b][o].duration
                            : time > Seconds(0)                       ? to_ticks(time)
                                                : 0); // one that was fused into its neighbour takes none
      }
      add_contention(block, durations, collective_share(chip));
    }
  }
}

double activities(const Plan& plan)
{
  double sum = 0;
  each_phase(plan, [&](const Phase& phase) {
    for (const int direction : {1, -1})
      sum += static_cast<double>(phase.sends(phase.place(phase.factor().length / 2, false), direction));
  });
  return sum;
}

} // namespace

std::vector<bool> awaited(const DeviceBlock& block)
{
  std::vector<bool> all(block.operations.size(), false);
  for (std::size_t o = block.operations.size(); o-- > 0;) {
    const DeviceOperation& own = block.operations[o];
    for (const int need : own.needs)
      if (!own.asynchronous || all[o])
        all[static_cast<std::size_t>(need)] = true;
  }
  return all;
}

const std::vector<std::vector<Ticks>>& TimedProgram::durations(std::size_t program, const Speed& speed) const
{
  const auto known = std::find_if(speeds.begin(), speeds.end(), [&](const auto& one) { return one.speed == speed; });
  return known->durations.at(program);
}

TimedProgram time_program(const ShardedProgram& program, const Machine& machine, const Placement& placement,
                          const CollectiveChoices& choices, Granularity granularity, bool slow_links_by_chunks)
{
  TimedProgram timed;
  for (const DeviceProgram& device : program.programs) {
    TimedBlocks& blocks = timed.programs.emplace_back();
    for (const DeviceBlock& block : device.blocks) {
      std::vector<TimedOperation>& operations = blocks.emplace_back();
      for (const DeviceOperation& op : block.operations) {
        TimedOperation& own = operations.emplace_back();
        if (op.kind == DeviceOperation::Kind::collective) {
          own.plan     = plan(op.collective, machine, placement, choices);
          own.duration = std::max<Ticks>(duration(own.plan), 1);
          own.chunked  = granularity == Granularity::chunk;
        } else if (op.kind != DeviceOperation::Kind::compute) {
          own.duration = transfer_time(op.transfer, machine, stage_factor(program, placement));
        }
      }
    }
    if (granularity == Granularity::automatic)
      Granulation(program, device, blocks, machine, placement, slow_links_by_chunks).decide();
  }
  std::set<Speed> others;
  for (const auto& [device, speed] : machine.overrides.devices)
    others.insert(speed);
  others.erase(Speed{});
  add_speed(Speed{}, program, machine.chip, timed);
  for (std::size_t p = 0; p < timed.programs.size(); ++p)
    for (std::size_t b = 0; b < timed.programs[p].size(); ++b)
      for (std::size_t o = 0; o < timed.programs[p][b].size(); ++o)
        timed.programs[p][b][o].duration = timed.speeds.front().durations[p][b][o];
  for (const Speed& speed : others)
    add_speed(speed, program, machine.chip, timed);
  return timed;
}

AxisFactor stage_factor(const ShardedProgram& program, const Placement& placement)
{
  const AxisPlacement& stages = placement[program.pipeline.value()];
  return *std::max_element(stages.begin(), stages.end(),
                           [](const AxisFactor& a, const AxisFactor& b) { return a.length < b.length; });
}

double activities_per_device(const ShardedProgram& program, const TimedProgram& timed)
{
  double sum = 0;
  for (const Stage& stage : program.stages)
    for (const Step& step : stage.steps)
      for (const TimedOperation& operation : timed.programs[stage.program][static_cast<std::size_t>(step.block)])
        sum += step.count * (operation.chunked ? activities(operation.plan) : 1);
  return sum / static_cast<double>(program.stages.size());
}

} // namespace podsim
