#include "sim/engine/timed_program.hpp"

#include <algorithm>
#include <boost/graph/transitive_closure.hpp>

namespace podsim {
namespace {

// The kinds of links that a plan uses: a bit for each torus axis and one for the DCN.
std::uint32_t links_used(const Plan& plan)
{
  std::uint32_t axes = 0;
  for (const PlanPart& part : plan.parts)
    for (const RingPhase& phase : part)
      axes |= phase.dcn ? 1U << 31U : 1U << phase.factor.axis;
  return axes;
}

struct Place {
  std::size_t block, operation;
};

class Granulation {
public:
  Granulation(const ShardedProgram& program, TimedProgram& timed, const Machine& machine)
      : program_(program), blocks_(program.programs.front().blocks), timed_(timed), machine_(machine)
  {
  }

  void decide()
  {
    std::vector<Place> collectives;
    for (std::size_t b = 0; b < blocks_.size(); ++b)
      for (std::size_t o = 0; o < blocks_[b].operations.size(); ++o)
        if (blocks_[b].operations[o].kind == DeviceOperation::Kind::collective)
          collectives.push_back({b, o});
    for (std::size_t i = 0; i < collectives.size(); ++i) {
      TimedOperation& own = timed(collectives[i]);
      own.chunked         = own.chunked || shares_links_with_itself(own.plan, machine_);
      for (std::size_t j = i + 1; j < collectives.size(); ++j) {
        TimedOperation& other = timed(collectives[j]);
        if ((links_used(own.plan) & links_used(other.plan)) != 0 && may_meet(collectives[i], collectives[j]))
          own.chunked = other.chunked = true;
      }
    }
  }

private:
  TimedOperation& timed(const Place& place) { return timed_[place.block][place.operation]; }
  const DeviceOperation& operation(const Place& place) const
  {
    return blocks_[place.block].operations[place.operation];
  }

  // One that runs beyond its own iteration: gathered ahead, or read by later blocks only.
  bool roams(const DeviceOperation& op) const
  {
    return op.asynchronous && (!op.needs.empty() || program_.prefetch_iterations > 0);
  }

  bool may_meet(const Place& a, const Place& b) const
  {
    const DeviceOperation& first  = operation(a);
    const DeviceOperation& second = operation(b);
    if (!first.asynchronous && !second.asynchronous)
      return false; // both stand in the order
    if (first.asynchronous && second.asynchronous && first.collective.axes == second.collective.axes)
      return false; // one queue
    if (roams(first) || roams(second))
      return true;
    if (a.block != b.block)
      return false;
    PrecedenceGraph reachable;
    boost::transitive_closure(precedence(blocks_[a.block]), reachable);
    return !edge(a.operation, b.operation, reachable).second && !edge(b.operation, a.operation, reachable).second;
  }

  const ShardedProgram& program_;
  const std::vector<DeviceBlock>& blocks_;
  TimedProgram& timed_;
  const Machine& machine_;
};

double activities(const Plan& plan)
{
  double sum = 0;
  for (const PlanPart& part : plan.parts)
    for (const RingPhase& phase : part)
      for (const int direction : {1, -1})
        sum += static_cast<double>(sends(phase, phase.length / 2, direction));
  return sum;
}

} // namespace

TimedProgram time_program(const ShardedProgram& program, const Machine& machine, const Placement& placement,
                          MultiAxis multi_axis, Granularity granularity)
{
  TimedProgram timed;
  for (const DeviceBlock& block : program.programs.front().blocks) {
    std::vector<TimedOperation>& operations = timed.emplace_back();
    for (const DeviceOperation& op : block.operations) {
      TimedOperation& own = operations.emplace_back();
      if (op.kind == DeviceOperation::Kind::compute) {
        own.duration = to_ticks(operation_time(op.work, machine.chip).total());
        continue;
      }
      own.plan     = plan(op.collective, machine, placement, multi_axis);
      own.duration = std::max<Ticks>(duration(own.plan), 1);
      own.chunked  = granularity == Granularity::chunk;
    }
  }
  if (granularity == Granularity::automatic)
    Granulation(program, timed, machine).decide();
  return timed;
}

double activities_per_device(const ShardedProgram& program, const TimedProgram& timed)
{
  double sum         = 0;
  const auto& blocks = program.programs.front().blocks;
  for (std::size_t b = 0; b < blocks.size(); ++b)
    for (const TimedOperation& operation : timed[b])
      sum += static_cast<double>(blocks[b].count) * (operation.chunked ? activities(operation.plan) : 1);
  return sum;
}

} // namespace podsim
