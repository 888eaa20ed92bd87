#include "sim/engine/stage_recurrence.hpp"

#include "sim/engine/clock/heap_clock.hpp"
#include "sim/engine/network.hpp"
#include "sim/engine/row.hpp"

#include <algorithm>
#include <bit>
#include <deque>

namespace podsim {
namespace {

constexpr Ticks unknown = -1;

// A message by itself, from a stage one way.
struct Transfer {
  Ticks time    = 0;      // from its leaving to its arrival,
  Ticks latency = 0;      // in which it does not move yet
  std::vector<int> links; // that it may meet others on
};

// Steps of a stage, as the recurrence needs them.
struct Move {
  enum class Kind : std::uint8_t { rows, send, receive } kind;
  std::uint8_t way     = 0;  // of a message: down the pipeline (0), or up
  std::int32_t message = -1; // its index among all of them
  Ticks time           = 0;  // of all rows; or of what follows the message in its block
  Ticks transmission   = 0;  // of a receive: what it may have to wait for
};

class Recurrence {
public:
  Recurrence(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
             const Placement& placement, const DeviceClasses& classes)
      : program_(program), timed_(timed), machine_(machine), placement_(placement), partition_(classes)
  {
  }

  std::optional<Reckoned> work_out()
  {
    if (!program_.pipeline || !machine_.overrides.empty() || !one_class_each_stage() || !make_rows() ||
        !time_transfers())
      return {};
    lay_out();
    if (!walk())
      return {};
    // Each costs a walk over all that comes after it; so many of them take longer than the events.
    constexpr int most_meetings = 1000;
    Ticks from                  = 0;
    for (int set_right_so_far = 0;; ++set_right_so_far) {
      const std::optional<Meeting> first = first_meeting(from);
      if (!first)
        return reckoned(set_right_so_far);
      if (set_right_so_far == most_meetings || !set_right(*first) || !walk())
        return {};
      from = first->from;
    }
  }

private:
  struct Stop { // where a stage stands
    std::size_t move = 0;
    Ticks clock      = 0;
  };
  struct Message {
    Ticks left = unknown, arrived = unknown;
    Ticks later      = 0;  // than it would be if it met nobody, because it met
    std::int32_t met = -1; // this one
    int from = 0, way = 0;
  };
  struct Meeting {
    std::int32_t one, other; // messages
    Ticks from, overlap;
  };
  using Rows    = std::vector<RowAlone>;                            // by block
  using Senders = std::vector<std::pair<std::size_t, std::size_t>>; // stage and way

  std::size_t stages() const { return program_.stages.size(); }
  const DeviceProgram& program_of(std::size_t stage) const { return program_.program_of(stage); }
  const Rows& rows_of(std::size_t stage) const { return rows_[program_.stages[stage].program]; }

  static bool transfers(const DeviceOperation& operation)
  {
    return operation.kind == DeviceOperation::Kind::send || operation.kind == DeviceOperation::Kind::receive;
  }
  // A block that begins with a message, and may go on with other operations.
  static bool is_transfer(const DeviceBlock& block)
  {
    return !block.operations.empty() && transfers(block.operations.front());
  }

  bool one_class_each_stage()
  {
    class_of_.assign(stages(), -1);
    for (std::size_t c = 0; c < partition_.classes.size(); ++c) {
      const std::int64_t stage =
          position(placement_[*program_.pipeline], partition_.classes[c].representative, machine_.lattice);
      int& own = class_of_[static_cast<std::size_t>(stage)];
      if (own >= 0)
        return false;
      own = static_cast<int>(c);
    }
    return true;
  }

  // All blocks by themselves; false where others have a say in one.
  bool make_rows()
  {
    for (std::size_t p = 0; p < program_.programs.size(); ++p) {
      Rows& rows = rows_.emplace_back();
      for (std::size_t b = 0; b < program_.programs[p].blocks.size(); ++b) {
        const DeviceBlock& block = program_.programs[p].blocks[b];
        if (!is_private(block, timed_.programs[p][b]))
          return false;
        std::vector<Ticks> durations = timed_.speeds.front().durations[p][b];
        if (is_transfer(block))
          durations.front() = 0; // how long it takes is the matter here
        rows.push_back(row_alone(block, durations));
        if (!rows.back().whole)
          return false;
      }
    }
    return true;
  }

  bool is_private(const DeviceBlock& block, const std::vector<TimedOperation>& timed)
  {
    for (std::size_t o = is_transfer(block) ? 1 : 0; o < block.operations.size(); ++o) {
      const DeviceOperation& own = block.operations[o];
      if (transfers(own))
        return false;
      if (own.kind == DeviceOperation::Kind::collective && // of one over the DCN metrics want to know when it ran
          (timed[o].chunked || over_dcn(timed[o].plan) || !one_class_meets(own.collective.axes)))
        return false;
    }
    return true;
  }

  bool one_class_meets(AxisMask axes)
  {
    const auto [known, fresh] = alone_.try_emplace(axes, true);
    if (fresh)
      for (const std::vector<int>& group : groups(span_of(axes, placement_), partition_, machine_).classes)
        known->second = known->second && group.size() == 1;
    return known->second;
  }

  // Each kind of message once, one after the other, on a clock and a network of their own.
  bool time_transfers()
  {
    const std::unique_ptr<Clock> clock = heap_clock();
    Network network(*clock, machine_, placement_, partition_);
    const AxisFactor factor = stage_factor(program_, placement_);
    const int line          = network.line_of(factor);
    const Ticks latency =
        to_ticks(factor.axis == machine_.dcn_axis() ? machine_.dcn_latency : machine_.wire(factor.axis).latency);
    struct Asked {
      std::size_t stage;
      int way;
      Ticks size;
    };
    std::vector<Asked> all;
    transfers_.assign(stages(), {});
    for (std::size_t stage = 0; stage < stages(); ++stage)
      for (std::size_t b = 0; b < program_of(stage).blocks.size(); ++b) {
        const DeviceBlock& block = program_of(stage).blocks[b];
        if (!is_transfer(block) || block.operations.front().kind != DeviceOperation::Kind::send)
          continue;
        const DeviceOperation& own = block.operations.front();
        const int way              = own.towards > 0 ? 0 : 1;
        const Ticks size           = timed_.speeds.front().durations[program_.stages[stage].program][b].front();
        const auto same            = std::find_if(all.begin(), all.end(),
                                                  [&](const Asked& one) { return one.stage == stage && one.way == way; });
        if (same == all.end())
          all.push_back({stage, way, size});
        else if (same->size != size)
          return false;
      }
    std::size_t next   = 0;
    std::int64_t left  = 0;
    double began       = 0;
    bool halves        = true;
    const auto send_on = [&] {
      if (next == all.size())
        return;
      const Asked& one = all[next];
      const int c      = class_of_[one.stage];
      left             = network.transfers(line, c);
      began            = clock->now();
      halves           = halves && std::has_single_bit(static_cast<std::uint64_t>(left));
      network.send(line, c, one.way, one.size, {0, c, 0, 0, 0});
    };
    bool whole = true;
    clock->run(send_on, [&](const Token&, double) {
      if (--left > 0)
        return;
      const Asked& one   = all[next++];
      const int c        = class_of_[one.stage];
      const double took  = clock->now() - began;
      Transfer& transfer = transfers_[one.stage][static_cast<std::size_t>(one.way)];
      transfer           = {static_cast<Ticks>(took), latency, network.shared_links(line, c, one.way)};
      whole              = whole && took == std::floor(took);
      // Over the NIC alone, two that meet there have half of it each.
      halves = halves && transfer.time - latency == network.transfers(line, c) * one.size;
      send_on();
    });
    shares_evenly_ = halves;
    return whole && next == all.size();
  }

  // The steps of each stage as moves, and the messages that they send.
  void lay_out()
  {
    std::int32_t micro_batches = 0;
    for (const Stage& stage : program_.stages)
      for (const Step& step : stage.steps)
        micro_batches = std::max(micro_batches, step.micro_batch + 1);
    const auto virtual_stages = static_cast<std::int32_t>(stages()) * program_.chunks;
    per_way_                  = static_cast<std::size_t>(virtual_stages) * static_cast<std::size_t>(micro_batches);
    messages_.assign(2 * per_way_, {});
    moves_.resize(stages());
    begins_.resize(stages());
    sent_.resize(stages());
    stops_.assign(stages(), {});
    for (std::size_t s = 0; s < stages(); ++s) {
      const Stage& stage                     = program_.stages[s];
      const std::vector<DeviceBlock>& blocks = program_of(s).blocks;
      moves_[s].reserve(stage.steps.size());
      begins_[s].reserve(stage.steps.size() + 1);
      for (const Step& step : stage.steps) {
        const auto b             = static_cast<std::size_t>(step.block);
        const DeviceBlock& block = blocks[b];
        if (!is_transfer(block)) {
          moves_[s].push_back({Move::Kind::rows, 0, -1, step.count * rows_of(s)[b].time, 0});
          continue;
        }
        const DeviceOperation& own = block.operations.front();
        const bool sends           = own.kind == DeviceOperation::Kind::send;
        const std::uint8_t way     = own.towards > 0 ? 0 : 1;
        const std::int32_t at =
            step.chunk * static_cast<std::int32_t>(stages()) + static_cast<std::int32_t>(s) + (sends ? own.towards : 0);
        const auto message = static_cast<std::int32_t>(way * per_way_) + at * micro_batches + step.micro_batch;
        moves_[s].push_back({sends ? Move::Kind::send : Move::Kind::receive, way, message, rows_of(s)[b].time,
                             timed_.speeds.front().durations[stage.program][b].front()});
        if (sends) {
          sent_[s][way].push_back(message);
          messages_[static_cast<std::size_t>(message)].from = static_cast<int>(s);
          messages_[static_cast<std::size_t>(message)].way  = way;
        }
      }
    }
    for (std::size_t s = 0; s < stages(); ++s)
      for (std::size_t way = 0; way < 2; ++way)
        for (const int link : transfers_[s][way].links) {
          const auto l = static_cast<std::size_t>(link);
          senders_.resize(std::max(senders_.size(), l + 1));
          senders_[l].emplace_back(s, way);
        }
  }

  Message& message(const Move& move) { return messages_[static_cast<std::size_t>(move.message)]; }

  std::size_t receiver(std::size_t stage, int way) const { return (stage + (way == 0 ? 1 : stages() - 1)) % stages(); }

  // All stages as far as they go; false where one never ends.
  bool walk()
  {
    std::deque<std::size_t> waiting;
    std::vector<bool> queued(stages(), true);
    for (std::size_t s = 0; s < stages(); ++s)
      waiting.push_back(s);
    while (!waiting.empty()) {
      const std::size_t s = waiting.front();
      waiting.pop_front();
      queued[s] = false;
      walk(s, [&](std::size_t other) {
        if (!queued[other])
          waiting.push_back(other);
        queued[other] = true;
      });
    }
    for (std::size_t s = 0; s < stages(); ++s)
      if (stops_[s].move != moves_[s].size())
        return false;
    return true;
  }

  template <class Tell> void walk(std::size_t s, const Tell& tell)
  {
    Stop& at = stops_[s];
    begins_[s].resize(at.move);
    for (; at.move < moves_[s].size(); ++at.move) {
      const Move& move = moves_[s][at.move];
      if (move.kind == Move::Kind::receive && message(move).arrived == unknown)
        break;
      begins_[s].push_back(at.clock);
      at.clock = end_of(s, move, at.clock) + move.time;
      if (move.kind == Move::Kind::send)
        tell(receiver(s, move.way));
    }
  }

  Ticks end_of(std::size_t s, const Move& move, Ticks clock)
  {
    if (move.kind == Move::Kind::rows)
      return clock;
    Message& own = message(move);
    if (move.kind == Move::Kind::send) {
      own.left    = clock;
      own.arrived = clock + transfers_[s][move.way].time + own.later;
      return program_.blocking_transfers ? own.arrived : clock;
    }
    const Ticks end = std::max(clock, own.arrived);
    // The executor's clock counts a start at 0 as one at 1 (to_ticks).
    return program_.blocking_receives ? std::max(end, std::max<Ticks>(clock, 1) + move.transmission) : end;
  }

  // ---- Who meets ----

  struct Moving { // a message on a link
    std::int32_t message;
    Ticks from, until;
  };
  struct Sending { // of one sender over a link, what is still to be looked at
    std::vector<std::int32_t>::const_iterator next, end;
    Ticks latency;
  };

  // The earliest time at which two messages are on a link that have not been set right; none are before `from`.
  std::optional<Meeting> first_meeting(Ticks from) const
  {
    std::optional<Meeting> first;
    for (const Senders& senders : senders_)
      if (!senders.empty())
        look_at(senders, from, first);
    return first;
  }

  // The messages of each sender stand in their order; those of all are gone through in order of time.
  void look_at(const Senders& senders, Ticks from, std::optional<Meeting>& first) const
  {
    std::vector<Sending> all;
    for (const auto& [s, way] : senders) {
      const std::vector<std::int32_t>& sent = sent_[s][way];
      const auto begin                      = std::partition_point(sent.begin(), sent.end(), [&](std::int32_t one) {
        return messages_[static_cast<std::size_t>(one)].arrived <= from;
      });
      all.push_back({begin, sent.end(), transfers_[s][way].latency});
    }
    std::optional<Moving> before;
    for (;;) {
      std::optional<Moving> soonest;
      Sending* whose = nullptr;
      for (Sending& one : all)
        if (one.next != one.end) {
          const Message& own = messages_[static_cast<std::size_t>(*one.next)];
          if (!soonest || own.left + one.latency < soonest->from) {
            soonest = Moving{*one.next, own.left + one.latency, own.arrived};
            whose   = &one;
          }
        }
      if (!soonest || (first && soonest->from >= first->from))
        return;
      ++whose->next;
      if (before && soonest->from < before->until &&
          messages_[static_cast<std::size_t>(soonest->message)].met != before->message) {
        first = {before->message, soonest->message, soonest->from,
                 std::min(before->until, soonest->until) - soonest->from};
        return;
      }
      if (!before || soonest->until > before->until)
        before = soonest;
    }
  }

  // Both end later by what they shared; all that began after they met is worked out anew. False where more than those
  // two are in it.
  bool set_right(const Meeting& meeting)
  {
    Message& one   = messages_[static_cast<std::size_t>(meeting.one)];
    Message& other = messages_[static_cast<std::size_t>(meeting.other)];
    if (!shares_evenly_ || one.met >= 0 || other.met >= 0)
      return false;
    one.met   = meeting.other;
    other.met = meeting.one;
    one.later = other.later = meeting.overlap;
    for (std::size_t s = 0; s < stages(); ++s) {
      std::vector<Ticks>& begins = begins_[s];
      const auto after           = std::upper_bound(begins.begin(), begins.end(), meeting.from);
      for (auto move = static_cast<std::size_t>(after - begins.begin()); move < stops_[s].move; ++move)
        if (moves_[s][move].kind == Move::Kind::send)
          message(moves_[s][move]).arrived = unknown;
      if (after == begins.begin())
        continue;
      stops_[s] = {static_cast<std::size_t>(after - begins.begin()) - 1, *(after - 1)};
    }
    // What was sent before they met arrives as it did, but for the two.
    for (Message* own : {&one, &other})
      own->arrived = own->left +
                     transfers_[static_cast<std::size_t>(own->from)][static_cast<std::size_t>(own->way)].time +
                     own->later;
    return true;
  }

  // ---- What it comes to ----

  Reckoned reckoned(int meetings)
  {
    Reckoned all;
    all.meetings                 = meetings;
    all.course.classes           = partition_.classes;
    all.course.simulated_classes = static_cast<std::int64_t>(partition_.classes.size());
    all.course.by_recurrence     = true;
    all.course.stages.resize(stages());
    all.tally.classes.resize(stages());
    for (std::size_t s = 0; s < stages(); ++s) {
      all.course.stages[static_cast<std::size_t>(class_of_[s])] = s;
      all.course.end = std::max(all.course.end, to_seconds(static_cast<double>(stops_[s].clock)));
    }
    for (std::size_t c = 0; c < stages(); ++c)
      add(all.course.stages[c], all.tally.classes[c], all.tally);
    return all;
  }

  void add(std::size_t s, ClassTally& own, Tally& all)
  {
    const std::vector<DeviceBlock>& blocks = program_of(s).blocks;
    const Rows& rows                       = rows_of(s);
    std::vector<std::int64_t> runs(blocks.size());
    for (const DeviceBlock& block : blocks)
      own.operations.emplace_back(block.operations.size());
    const std::vector<Step>& steps = program_.stages[s].steps;
    Ticks idle                     = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto b     = static_cast<std::size_t>(steps[i].block);
      const Move& move = moves_[s][i];
      if (move.kind == Move::Kind::rows) {
        runs[b] += steps[i].count;
        add_layers(blocks[b], rows[b], steps[i].count, all);
        continue;
      }
      runs[b] += 1; // what follows the message
      const Ticks ready = begins_[s][i];
      const Ticks end   = (i + 1 < steps.size() ? begins_[s][i + 1] : stops_[s].clock) - move.time;
      const Ticks start = move.kind == Move::Kind::receive ? std::max(ready, message(move).left) : ready;
      idle += start - ready;
      own.operations[b].front().time.add_ticks(end - start);
    }
    for (std::size_t b = 0; b < blocks.size(); ++b)
      for (std::size_t o = 0; o < blocks[b].operations.size(); ++o)
        if (runs[b] > 0 && !blocks[b].operations[o].asynchronous && !transfers(blocks[b].operations[o])) {
          own.operations[b][o].times += runs[b];
          if (const RowAlone::Place& place = rows[b].operations[o]; place.wait() > 0)
            own.waits[place.waited_for].add_ticks(place.wait() * runs[b]);
        }
    own.waits[0].add_ticks(idle);
    own.last = seconds(stops_[s].clock);
  }

  static Seconds seconds(Ticks ticks) { return to_seconds(static_cast<double>(ticks)); }

  static void add_layers(const DeviceBlock& block, const RowAlone& row, std::int32_t count, Tally& all)
  {
    if (block.role != BlockRole::layers && block.role != BlockRole::layers_backward)
      return;
    LayerTime& layers = block.role == BlockRole::layers ? all.forward : all.backward;
    layers.sum += seconds(count * row.time - row.first);
    layers.iterations += count;
  }

  const ShardedProgram& program_;
  const TimedProgram& timed_;
  const Machine& machine_;
  const Placement& placement_;
  const DeviceClasses& partition_;
  std::vector<int> class_of_; // each stage
  std::vector<Rows> rows_;    // by program
  std::map<AxisMask, bool> alone_;
  std::vector<std::array<Transfer, 2>> transfers_; // of each stage, by way
  bool shares_evenly_ = false;
  std::vector<std::vector<Move>> moves_;   // of each stage
  std::vector<std::vector<Ticks>> begins_; // of each stage, when each move so far began
  std::vector<Stop> stops_;                // of each stage
  std::vector<Message> messages_;          // down the pipeline, then up: by receiving virtual stage and micro-batch
  std::size_t per_way_ = 0;
  std::vector<std::array<std::vector<std::int32_t>, 2>> sent_; // messages of each stage, by way, in their order
  std::vector<Senders> senders_;                               // over each shared link
};

} // namespace

std::optional<Reckoned> stage_recurrence(const ShardedProgram& program, const TimedProgram& timed,
                                         const Machine& machine, const Placement& placement,
                                         const DeviceClasses& classes)
{
  return Recurrence(program, timed, machine, placement, classes).work_out();
}

} // namespace podsim
