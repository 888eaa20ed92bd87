#include "tests/bench/heap_replay.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <stdexcept>
#include <utility>

namespace podsim::bench {
namespace {

// Lays down the events in the order of the program.
class Unroller {
public:
  Unroller(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine)
      : program_(program), timed_(timed), machine_(machine)
  {
  }

  HeapProgram unroll()
  {
    if (program_.stages.size() != 1)
      throw std::logic_error("the heap replays programs of one stage");
    const Stage& stage                     = program_.stages.front();
    const std::vector<DeviceBlock>& blocks = program_.program_of(0).blocks;
    for (const Step& step : stage.steps) {
      const auto block = static_cast<std::size_t>(step.block);
      for (std::int32_t iteration = 0; iteration < step.count; ++iteration)
        for (std::size_t o = 0; o < blocks[block].operations.size(); ++o)
          add(blocks[block].operations[o], timed_.programs[stage.program][block][o]);
      end_run(); // as in the simulation, which keeps the steps of a schedule apart
    }
    finish();
    return std::move(heap_);
  }

private:
  using Events = std::vector<std::int32_t>;

  void add(const DeviceOperation& operation, const TimedOperation& timed)
  {
    if (operation.asynchronous)
      throw std::logic_error("the heap replays no asynchronous collectives");
    if (!timed.chunked) {
      run_ += timed.duration;
      return;
    }
    end_run();
    // Chips of a host share its NIC and do so in step: their rate is known, and no link has to be followed.
    const bool shared = timed.plan.parts.size() > 1 && shares_links_with_itself(timed.plan, machine_);
    Events ends;
    for (const PlanPart& part : timed.plan.parts) {
      Events front = last_;
      for (const PhasePtr& phase : part)
        front = add_phase(*phase, shared, front);
      ends.insert(ends.end(), front.begin(), front.end());
    }
    last_ = std::move(ends);
  }

  Events add_phase(const Phase& phase, bool shared, const Events& front)
  {
    const bool dcn = phase.link() == AxisKind::dcn;
    if (!phase.one_way() && !phase.factor().closed)
      throw std::logic_error("the heap replays closed rings only");
    Events ends;
    for (const int direction : {1, -1}) {
      const RingPlace at     = phase.place(0, false);
      const std::int64_t all = phase.sends(at, direction);
      Events before          = front;
      for (std::int64_t send = 0; send < all; ++send) {
        const Ticks work = dcn ? phase.busy({}) : phase.transmission(at, direction, send);
        const int link   = shared && !dcn ? static_cast<int>(phase.factor().axis) * 2 + (direction > 0 ? 1 : 0) : -1;
        Events sent;
        for (std::int64_t copy = 0; copy < (dcn ? machine_.devices_per_host() : 1); ++copy)
          sent.push_back(add_event({phase.latency(), work, link}, before));
        before = std::move(sent);
      }
      if (all > 0)
        ends.insert(ends.end(), before.begin(), before.end());
    }
    return ends;
  }

  void end_run()
  {
    if (run_ > 0)
      last_ = {add_event({0, std::exchange(run_, 0), -1}, last_)};
  }

  std::int32_t add_event(const HeapEvent& event, const Events& before)
  {
    const auto id = static_cast<std::int32_t>(heap_.events.size());
    heap_.events.push_back(event);
    heap_.waits.push_back(static_cast<std::int32_t>(before.size()));
    heap_.links = std::max(heap_.links, event.link + 1);
    for (const std::int32_t one : before)
      edges_.emplace_back(one, id);
    return id;
  }

  void finish()
  {
    std::sort(edges_.begin(), edges_.end());
    heap_.first_after.assign(heap_.events.size() + 1, 0);
    for (const auto& [from, to] : edges_) {
      ++heap_.first_after[static_cast<std::size_t>(from) + 1];
      heap_.after.push_back(to);
    }
    for (std::size_t i = 1; i < heap_.first_after.size(); ++i)
      heap_.first_after[i] += heap_.first_after[i - 1];
  }

  const ShardedProgram& program_;
  const TimedProgram& timed_;
  const Machine& machine_;
  HeapProgram heap_;
  std::vector<std::pair<std::int32_t, std::int32_t>> edges_;
  Events last_;   // what the next operation waits for
  Ticks run_ = 0; // of the operations since
};

constexpr std::int32_t reaches_link = -1, ends = 0; // more than 0: the end of an event on a link, as foreseen when
                                                    // that many times the link had been joined or left

struct Due {
  double time; // in ticks; whole ones but on a link that three share
  std::int32_t event, what;
  friend bool operator>(const Due& a, const Due& b) { return a.time > b.time; }
};

struct SharedLink {
  std::vector<std::pair<std::int32_t, double>> flows; // events, and how much of each is left
  double since         = 0;                           // the time of `left`
  std::int32_t changes = 0;
};

} // namespace

HeapProgram heap_program(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine)
{
  return Unroller(program, timed, machine).unroll();
}

Ticks replay(const HeapProgram& program, std::vector<std::int32_t> waits)
{
  std::priority_queue<Due, std::vector<Due>, std::greater<>> heap;
  std::vector<SharedLink> links(static_cast<std::size_t>(program.links));
  double now       = 0;
  const auto begin = [&](std::int32_t event) {
    const HeapEvent& one = program.events[static_cast<std::size_t>(event)];
    heap.push(one.link < 0 ? Due{now + static_cast<double>(one.before + one.work), event, ends}
                           : Due{now + static_cast<double>(one.before), event, reaches_link});
  };
  // What is left of the flows now, and, once one has joined or left, when the others will end.
  const auto bring_up = [&](SharedLink& link) {
    for (auto& [event, left] : link.flows)
      left -= (now - link.since) / static_cast<double>(link.flows.size());
    link.since = now;
  };
  const auto foresee = [&](SharedLink& link) {
    ++link.changes;
    for (const auto& [event, left] : link.flows)
      heap.push({now + left * static_cast<double>(link.flows.size()), event, link.changes});
  };
  for (std::size_t event = 0; event < waits.size(); ++event)
    if (waits[event] == 0)
      begin(static_cast<std::int32_t>(event));
  while (!heap.empty()) {
    const Due due = heap.top();
    heap.pop();
    const auto event     = static_cast<std::size_t>(due.event);
    const HeapEvent& one = program.events[event];
    if (due.what != ends) {
      SharedLink& link = links[static_cast<std::size_t>(one.link)];
      if (due.what != reaches_link && due.what != link.changes)
        continue; // foreseen before the link was joined or left
      now = due.time;
      bring_up(link);
      if (due.what == reaches_link)
        link.flows.emplace_back(due.event, static_cast<double>(one.work));
      else
        std::erase_if(link.flows, [&](const auto& flow) { return flow.first == due.event; });
      foresee(link);
      if (due.what == reaches_link)
        continue;
    }
    now = due.time;
    for (std::int32_t i = program.first_after[event]; i < program.first_after[event + 1]; ++i)
      if (const std::int32_t next = program.after[static_cast<std::size_t>(i)];
          --waits[static_cast<std::size_t>(next)] == 0)
        begin(next);
  }
  return std::llround(now);
}

} // namespace podsim::bench
