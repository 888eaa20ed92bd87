#include "sim/engine/collective_time.hpp"

#include <algorithm>
#include <map>

namespace podsim {
namespace {

Ticks busy(const RingPhase& phase)
{
  const Ticks step = phase.link == AxisKind::dcn ? phase.crowded_step() : phase.step;
  if (phase.kind == CollectiveKind::all_to_all)
    return step;
  if (phase.one_way() || !phase.factor.closed)
    return phase.steps() * step;
  return phase.factor.stride * ((phase.length / 2 - 1) * phase.step + phase.last_step);
}

Ticks latencies(const RingPhase& phase)
{
  if (phase.kind == CollectiveKind::all_to_all)
    return phase.latency;
  const bool ring = phase.link == AxisKind::ici && phase.factor.closed;
  return phase.latency * (ring ? phase.factor.stride * (phase.length / 2) : phase.length - 1);
}

Ticks duration(const PlanPart& part)
{
  Ticks sum = 0;
  for (const RingPhase& phase : part)
    sum += duration(phase);
  return sum;
}

// A reduce-scatter's phases overlap, then an all-gather's; those on links of one axis share them. The ring goes through
// the devices of every node in turn.
Ticks duration_overlapped(const PlanPart& part)
{
  Ticks sum = 0;
  for (const CollectiveKind kind : {CollectiveKind::reduce_scatter, CollectiveKind::all_gather}) {
    Ticks slowest = 0;
    std::map<std::size_t, Ticks> busy_axes;
    std::int64_t nodes = 1;
    for (const RingPhase& phase : part)
      nodes *= phase.kind == kind && phase.link == AxisKind::dcn ? phase.length : 1;
    for (const RingPhase& phase : part)
      if (phase.kind == kind) {
        slowest = std::max(slowest, busy_axes[phase.factor.axis] += busy(phase));
        sum += latencies(phase) * (phase.link == AxisKind::dcn ? 1 : nodes);
      }
    sum += slowest;
  }
  return sum;
}

// A chunk on its way to the neighbour: it has the hop's latency before it, then its share of the link.
struct Leg {
  std::size_t axis;
  double latency, work; // ticks
};

// All that a part sends one way, the last first; the other way it does the same.
std::vector<Leg> legs(const PlanPart& part)
{
  std::vector<Leg> all;
  for (const RingPhase& phase : part) {
    const RingPlace at        = place_on(phase, 0, false);
    const std::int64_t chunks = at.closed ? sends(phase, at, 1) : phase.length - 1;
    for (std::int64_t i = 0; i < chunks; ++i)
      all.push_back(
          {phase.factor.axis, static_cast<double>(phase.latency), static_cast<double>(transmission(phase, at, 1, i))});
  }
  std::reverse(all.begin(), all.end());
  return all;
}

// Of parts that share the links of their axes evenly wherever they meet: from one arrival to the next.
Ticks duration_of_all(const std::vector<PlanPart>& parts)
{
  std::vector<std::vector<Leg>> left;
  for (const PlanPart& part : parts)
    left.push_back(legs(part));
  std::vector<double> sharers(parts.size()), due(parts.size()); // of what each part does now
  double now = 0;
  for (;;) {
    std::erase_if(left, [](const std::vector<Leg>& part) { return part.empty(); });
    if (left.empty())
      return std::llround(now);
    for (std::size_t i = 0; i < left.size(); ++i) {
      const Leg& own = left[i].back();
      sharers[i]     = static_cast<double>(std::count_if(left.begin(), left.end(), [&](const auto& other) {
        return other.back().latency <= 0 && other.back().axis == own.axis;
      }));
      due[i]         = own.latency > 0 ? own.latency : own.work * sharers[i];
    }
    const double next = *std::min_element(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(left.size()));
    now += next;
    for (std::size_t i = 0; i < left.size(); ++i) {
      Leg& own = left[i].back();
      if (own.latency > 0)
        own.latency -= next;
      else if (due[i] <= next)
        left[i].pop_back();
      else
        own.work -= next / sharers[i];
    }
  }
}

// What an exchange puts on one axis shares its links.
Ticks duration_of_exchange(const std::vector<PlanPart>& parts)
{
  Ticks longest = 0;
  for (const PlanPart& part : parts) {
    Ticks all = latencies(part.front());
    for (const PlanPart& other : parts)
      all += other.front().factor.axis == part.front().factor.axis ? busy(other.front()) : 0;
    longest = std::max(longest, all);
  }
  return longest;
}

// Parts keep out of each other's way only if all go on to their next axis at once, each phase being on an equal ring.
bool in_lockstep(const std::vector<PlanPart>& parts)
{
  for (const PlanPart& part : parts)
    for (std::size_t i = 0; i < part.size(); ++i) {
      const RingPhase& own   = part[i];
      const RingPhase& first = parts.front()[i];
      if (own.length != first.length || own.step != first.step || own.last_step != first.last_step ||
          own.factor.closed != first.factor.closed || own.factor.stride != first.factor.stride)
        return false;
    }
  return true;
}

} // namespace

Ticks duration(const RingPhase& phase)
{
  if (phase.streams())
    return std::max(phase.latency + busy(phase), phase.pace());
  return busy(phase) + latencies(phase);
}

Ticks duration(const Plan& plan)
{
  return duration(plan, [](const RingPhase& phase) { return phase; });
}

Ticks duration(const Plan& plan, const std::function<RingPhase(const RingPhase&)>& seen)
{
  std::vector<PlanPart> parts = plan.parts;
  for (PlanPart& part : parts)
    std::transform(part.begin(), part.end(), part.begin(), seen);
  if (plan.exchange)
    return duration_of_exchange(parts) + plan.rest;
  if (!plan.pipelined && !in_lockstep(parts))
    return duration_of_all(parts);
  Ticks longest = 0;
  for (const PlanPart& part : parts)
    longest = std::max(longest, plan.pipelined ? duration_overlapped(part) : duration(part));
  return longest;
}

Traffic traffic(const RingPhase& phase)
{
  if (phase.kind == CollectiveKind::all_to_all)
    return {phase.chunk * (1 - 1 / static_cast<double>(phase.length)), busy(phase)};
  const auto chunks = static_cast<double>(phase.steps()); // both directions of a ring together; of a line on average
  if (phase.link == AxisKind::dcn)
    return {phase.chunk * chunks, phase.steps() * phase.sharers * phase.step};
  const double relayed = phase.one_way() || !phase.factor.closed ? 1.0 : static_cast<double>(phase.factor.stride);
  return {phase.chunk * (chunks * relayed), busy(phase)};
}

Ticks transfer_time(Bytes size, const Machine& machine, const AxisFactor& factor)
{
  const bool dcn = factor.axis == machine.dcn_axis();
  return to_ticks(size / (dcn ? machine.host.nic_bandwidth : machine.wire(factor.axis).effective()));
}

bool shares_links_with_itself(const Plan& plan, const Machine& machine)
{
  const auto crowds = [&](const RingPhase& phase) {
    return phase.link == AxisKind::dcn && machine.devices_per_host() > 1;
  };
  return !plan.pipelined && (!(plan.exchange || in_lockstep(plan.parts)) ||
                             std::any_of(plan.parts.begin(), plan.parts.end(), [&](const PlanPart& part) {
                               return std::any_of(part.begin(), part.end(), crowds);
                             }));
}

} // namespace podsim
