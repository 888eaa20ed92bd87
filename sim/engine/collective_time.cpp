#include "sim/engine/collective_time.hpp"

#include <algorithm>

namespace podsim {
namespace {

Ticks duration(const PlanPart& part)
{
  Ticks sum = 0;
  for (const RingPhase& phase : part)
    sum += duration(phase);
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
  if (!in_lockstep(parts))
    return duration_of_all(parts);
  Ticks longest = 0;
  for (const PlanPart& part : parts)
    longest = std::max(longest, duration(part));
  return longest;
}

Ticks transfer_time(Bytes size, const Machine& machine, const AxisFactor& factor)
{
  const bool dcn = factor.axis == machine.dcn_axis();
  return to_ticks(size / (dcn ? machine.host.nic_bandwidth : machine.wire(factor.axis).effective()));
}

bool shares_links_with_itself(const Plan& plan, const Machine& machine)
{
  // On a line those at its ends are done first, and go on to their next axis while the other part is still there.
  const auto open = [](const RingPhase& phase) { return !phase.one_way() && !phase.factor.closed && phase.length > 2; };
  const bool meets_on_lines = !plan.exchange && plan.parts.size() > 1 &&
                              std::any_of(plan.parts.begin(), plan.parts.end(), [&](const PlanPart& part) {
                                return std::any_of(part.begin(), part.end(), open);
                              });
  const auto crowds = [&](const RingPhase& phase) {
    return phase.link == AxisKind::dcn && machine.devices_per_host() > 1;
  };
  return meets_on_lines || !(plan.exchange || in_lockstep(plan.parts)) ||
         std::any_of(plan.parts.begin(), plan.parts.end(),
                     [&](const PlanPart& part) { return std::any_of(part.begin(), part.end(), crowds); });
}

} // namespace podsim
