#include "sim/collectives/duration.hpp"

#include <algorithm>

namespace podsim {
namespace {

struct OnLine {
  const Phase* phase;
  LineState line;
};
using Part = std::vector<OnLine>; // of a plan, on the machine's lines

// A chunk on its way to the neighbour: it has the hop's latency before it, then its share of the link.
struct Leg {
  std::size_t axis;
  double latency, work; // ticks
};

// What the first of a ring or line sends upwards in a phase; on a line that one and those behind it together.
std::vector<Ticks> steps(const OnLine& on)
{
  const Phase& phase        = *on.phase;
  const RingPlace at        = phase.place(0, on.line.cut);
  const std::int64_t chunks = at.closed ? phase.sends(at, 1) : phase.factor().length - 1;
  std::vector<Ticks> all;
  for (std::int64_t i = 0; i < chunks; ++i)
    all.push_back(at_link_speed(phase.transmission(at, 1, i), on.line.speed));
  return all;
}

// All that a part sends one way, the last first; the other way it does the same.
std::vector<Leg> legs(const Part& part)
{
  std::vector<Leg> all;
  for (const OnLine& on : part)
    for (const Ticks step : steps(on))
      all.push_back({on.phase->factor().axis, static_cast<double>(on.phase->latency()), static_cast<double>(step)});
  std::reverse(all.begin(), all.end());
  return all;
}

// Of parts that share the links of their axes evenly wherever they meet: from one arrival to the next.
Ticks duration_of_all(const std::vector<Part>& parts)
{
  std::vector<std::vector<Leg>> left;
  for (const Part& part : parts)
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
Ticks duration_of_exchange(const std::vector<Part>& parts)
{
  Ticks longest = 0;
  for (const Part& part : parts) {
    const OnLine& own = part.front();
    Ticks all         = own.phase->latencies(own.line);
    for (const Part& other : parts)
      if (other.front().phase->factor().axis == own.phase->factor().axis)
        all += other.front().phase->busy(other.front().line);
    longest = std::max(longest, all);
  }
  return longest;
}

// Parts keep out of each other's way only if all go on to their next axis at once, each phase being on an equal ring.
bool in_lockstep(const std::vector<Part>& parts)
{
  for (std::size_t i = 1; i < parts.size(); ++i)
    for (std::size_t j = 0; j < parts[i].size(); ++j) {
      const OnLine& own   = parts[i][j];
      const OnLine& first = parts.front()[j];
      if (own.phase->place(0, own.line.cut).closed != first.phase->place(0, first.line.cut).closed ||
          own.phase->factor().length != first.phase->factor().length ||
          own.phase->factor().stride != first.phase->factor().stride || steps(own) != steps(first))
        return false;
    }
  return true;
}

std::vector<Part> on_lines(const Plan& plan, const std::function<LineState(const Phase&)>& lines)
{
  std::vector<Part> parts;
  for (const PlanPart& part : plan.parts) {
    Part& own = parts.emplace_back();
    for (const PhasePtr& phase : part)
      own.push_back({phase.get(), lines(*phase)});
  }
  return parts;
}

LineState healthy(const Phase&)
{
  return {};
}

} // namespace

Ticks duration(const Plan& plan)
{
  return duration(plan, healthy);
}

Ticks duration(const Plan& plan, const std::function<LineState(const Phase&)>& lines)
{
  const std::vector<Part> parts = on_lines(plan, lines);
  if (plan.exchange)
    return duration_of_exchange(parts) + plan.rest;
  if (!in_lockstep(parts))
    return duration_of_all(parts);
  Ticks longest = 0;
  for (const Part& part : parts) {
    Ticks sum = 0;
    for (const OnLine& on : part)
      sum += on.phase->duration(on.line);
    longest = std::max(longest, sum);
  }
  return longest;
}

Ticks transfer_time(Bytes size, const Machine& machine, const AxisFactor& factor)
{
  const bool dcn = factor.axis == machine.dcn_axis();
  return to_ticks(size / (dcn ? machine.host.nic_bandwidth : machine.wire(factor.axis).effective()));
}

bool shares_links_with_itself(const Plan& plan, const Machine& machine)
{
  if (plan.parts.size() > 1 && !plan.exchange) {
    // Those who are done early go on to their next axis while the other part is still there.
    bool early = false;
    each_phase(plan, [&](const Phase& phase) { early = early || phase.lets_go_early(); });
    if (early || !in_lockstep(on_lines(plan, healthy)))
      return true;
  }
  bool crowds = false;
  each_phase(plan, [&](const Phase& phase) {
    crowds = crowds || (phase.link() == AxisKind::dcn && machine.devices_per_host() > 1);
  });
  return crowds;
}

} // namespace podsim
