#include "sim/collectives/overlapped.hpp"

#include "sim/collectives/axis_load.hpp"

#include <algorithm>

namespace podsim {
namespace {

// What all phases put on one ring, or on one switched axis: rings over parts of it are one stream of chunks through the
// same links, which get one share of them beside what others send.
struct Load {
  AxisFactor factor;
  AxisLoad::Amount amount;
};

std::vector<Load> loads(const PlanPart& phases)
{
  std::vector<Load> all;
  for (const PhasePtr& phase : phases) {
    auto own = std::find_if(all.begin(), all.end(), [&](const Load& one) {
      return phase->one_way() ? one.factor.axis == phase->factor().axis : one.factor == phase->factor();
    });
    if (own == all.end())
      own = all.insert(own, {phase->factor(), {}});
    own->amount.step += phase->work({});
    own->amount.open_step += phase->work({.cut = true});
    own->amount.sent += phase->traffic().sent;
  }
  return all;
}

// Of all phases in turn.
Ticks all_latencies(const PlanPart& phases)
{
  std::int64_t nodes = 1; // in turn, each factor once however often it is gone over
  for (std::size_t i = 0; i < phases.size(); ++i)
    if (std::none_of(phases.begin(), phases.begin() + static_cast<std::ptrdiff_t>(i),
                     [&](const PhasePtr& before) { return before->factor() == phases[i]->factor(); }))
      nodes *= phases[i]->nodes_in_turn();
  Ticks all = 0;
  for (const PhasePtr& phase : phases)
    all += phase->latencies({}) * (phase->link() == AxisKind::dcn ? 1 : nodes);
  return all;
}

} // namespace

Plan overlapped(const PlanPart& phases, const Machine& machine)
{
  Plan result{.parts = {}, .exchange = true};
  for (const Load& load : loads(phases))
    result.parts.push_back({std::make_shared<AxisLoad>(load.factor, machine, load.amount)});
  // The part that takes longest, with what shares its links, shows one latency by itself.
  Ticks longest = 0, shown = 0;
  for (const PlanPart& part : result.parts) {
    const Phase& own = *part.front();
    Ticks all        = own.latencies({});
    for (const PlanPart& other : result.parts)
      all += other.front()->factor().axis == own.factor().axis ? other.front()->busy({}) : 0;
    if (all > longest) {
      longest = all;
      shown   = own.latencies({});
    }
  }
  result.rest = std::max<Ticks>(all_latencies(phases) - shown, 0);
  return result;
}

} // namespace podsim
