#include "sim/engine/time_fold.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace podsim {
namespace {

AxisMask axes_of(const DeviceBlock& block)
{
  AxisMask axes = 0;
  for (const DeviceOperation& op : block.operations)
    if (op.kind == DeviceOperation::Kind::collective)
      axes |= op.collective.axes;
  return axes;
}

// Whether all that classes do in a block is to meet once, when nothing is under way.
bool only_meets(const ShardedProgram& whole, std::size_t program, std::size_t block)
{
  std::int32_t runs = 0;
  for (const Stage& stage : whole.stages)
    for (const Step& step : stage.steps)
      if (stage.program == program && static_cast<std::size_t>(step.block) == block)
        runs += step.count;
  const auto& blocks      = whole.programs[program].blocks;
  const auto asynchronous = [](const DeviceBlock& one) {
    return std::any_of(one.operations.begin(), one.operations.end(), [](const auto& op) { return op.asynchronous; });
  };
  const bool any = std::any_of(blocks.begin(), blocks.end(), asynchronous);
  return runs == 1 && (!any || (blocks[block].waits_for_asynchronous && !asynchronous(blocks[block])));
}

// For each class the first one that it exchanges anything with while the program repeats.
std::vector<int> connected(const Replay& replay)
{
  const DeviceClasses& partition = replay.partition;
  std::vector<int> root(partition.classes.size());
  std::iota(root.begin(), root.end(), 0);
  const auto find = [&](int c) {
    while (root[static_cast<std::size_t>(c)] != c)
      c = root[static_cast<std::size_t>(c)] = root[static_cast<std::size_t>(root[static_cast<std::size_t>(c)])];
    return c;
  };
  const auto join = [&](const Span& span) {
    for (const std::vector<int>& group : groups(span, partition, replay.machine).classes)
      for (const int other : group) {
        const auto [low, high]               = std::minmax({find(group.front()), find(other)});
        root[static_cast<std::size_t>(high)] = low;
      }
  };
  AxisMask together = replay.program.pipeline ? ~AxisMask{0} : 0;
  for (std::size_t p = 0; p < replay.program.programs.size(); ++p)
    for (std::size_t b = 0; b < replay.program.programs[p].blocks.size(); ++b)
      if (!only_meets(replay.program, p, b))
        together |= axes_of(replay.program.programs[p].blocks[b]);
  for (std::size_t axis = 0; axis < replay.placement.size(); ++axis)
    if (together >> axis & 1U)
      join(span_of(AxisMask{1} << axis, replay.placement));
  join({.factors = {}, .host = true});
  for (std::size_t c = 0; c < root.size(); ++c)
    root[c] = find(static_cast<int>(c));
  return root;
}

// Of each block whether classes meet there that are not connected; nothing where all are.
std::vector<bool> meetings_of(const Replay& replay, const std::vector<int>& first)
{
  if (std::all_of(first.begin(), first.end(), [](int one) { return one == 0; }))
    return {};
  // Who meets over several axes is joined by steps along one of them, and those of a class see the same classes there.
  const auto root_of = [&](int c) { return first[static_cast<std::size_t>(c)]; };
  AxisMask apart     = 0;
  for (std::size_t axis = 0; axis < replay.placement.size(); ++axis) {
    const Groups met = groups(span_of(AxisMask{1} << axis, replay.placement), replay.partition, replay.machine);
    if (std::any_of(met.classes.begin(), met.classes.end(), [&](const std::vector<int>& all) {
          return std::any_of(all.begin(), all.end(), [&](int c) { return root_of(c) != root_of(all.front()); });
        }))
      apart |= AxisMask{1} << axis;
  }
  std::vector<bool> meetings;
  const std::size_t program = replay.program.stages.front().program; // there are no stages, else all are connected
  for (const DeviceBlock& block : replay.program.programs[program].blocks)
    meetings.push_back((axes_of(block) & apart) != 0);
  return meetings;
}

// The first row of which anybody may still ask what has ended.
std::int32_t oldest_row(const Stream& s, const Slots& at)
{
  std::int32_t oldest = at.row(s.slot);
  for (const Pending& one : s.pending)
    oldest = std::min(oldest, at.row(one.slot));
  return oldest;
}

} // namespace

TimeFold::TimeFold(const Replay& replay, Streams& streams, Clock& clock, const std::vector<Processor>& processors,
                   CollectiveRunner& collectives)
    : replay_(replay), streams_(streams), clock_(clock), processors_(processors), collectives_(collectives),
      visits_(streams.classes.size()), sent_over_dcn_(streams.classes.size()),
      hosts_(groups({.factors = {}, .host = true}, replay.partition, replay.machine))
{
  const std::vector<int> first = connected(replay);
  meetings_                    = meetings_of(replay, first);
  for (std::size_t c = 0; c < first.size(); ++c) {
    const bool begins = static_cast<std::size_t>(first[c]) == c;
    part_of_.push_back(begins ? static_cast<std::ptrdiff_t>(parts_.size())
                              : part_of_[static_cast<std::size_t>(first[c])]);
    if (begins)
      parts_.emplace_back();
    parts_[static_cast<std::size_t>(part_of_.back())].classes.push_back(static_cast<int>(c));
  }
}

// If the part came to a new row at an earlier instant, all that happened then has happened now.
void TimeFold::before(const Token& token, double since)
{
  Part& part      = parts_[static_cast<std::size_t>(part_of_[static_cast<std::size_t>(token.device_class)])];
  const Stream& s = streams_.of(token.device_class);
  if (part.boundary && clock_.now() + s.skipped > *part.boundary) {
    const double time = *part.boundary;
    part.boundary.reset();
    look_back(part, time);
  }
  if (!meetings_.empty() && token.kind == CollectiveRunner::chunk_token &&
      over_dcn(streams_.slots_of(s).timed(token.slot).plan))
    sent_over_dcn_[static_cast<std::size_t>(token.device_class)] = clock_.now() + s.skipped;
  const std::int32_t place = streams_.slots_of(s).place(token.slot);
  for (History* history : {&part.layers, &part.forward_passes, &part.backward_passes})
    history->note(token, place, since + s.skipped, clock_.now() + s.skipped);
}

void TimeFold::after(const Token& token)
{
  Part& part             = parts_[static_cast<std::size_t>(part_of_[static_cast<std::size_t>(token.device_class)])];
  const Stream& first    = streams_.of(part.classes.front());
  const std::int32_t row = streams_.slots_of(first).row(first.slot);
  if (first.slot == streams_.slots_of(first).end())
    part.boundary.reset();
  else if (row != part.row && !meets_in(first)) // which is entered once
    part.boundary = clock_.now() + first.skipped;
  part.row = row;
}

bool TimeFold::meets_in(const Stream& s) const
{
  return !meetings_.empty() && meetings_[static_cast<std::size_t>(streams_.slots_of(s).block_index(s.slot))];
}

bool TimeFold::lets_in(int device_class)
{
  const Stream& s = streams_.of(device_class);
  if (streams_.slots_of(s).place(s.slot) != 0 || !meets_in(s))
    return true;
  Visit& own = visits_[static_cast<std::size_t>(device_class)];
  if (own.slot == s.slot)
    return own.let_in;
  own = {s.slot, clock_.now() + s.skipped};
  if (entered_.contains(s.slot) || (there_ == 0 && on_one_clock())) {
    own.let_in = true;
    if (++entered_[s.slot] == visits_.size())
      entered_.erase(s.slot);
    return true;
  }
  if (++there_ == visits_.size())
    meet();
  return false;
}

bool TimeFold::on_one_clock() const
{
  return std::all_of(streams_.classes.begin(), streams_.classes.end(),
                     [&](const Stream& s) { return s.skipped == streams_.classes.front().skipped; });
}

// All are there and do nothing else. The first that came enters a tick from now, since no activity takes no time.
void TimeFold::meet()
{
  const auto first_of = [&](const Visit& a, const Visit& b) { return a.came < b.came; };
  const double first  = std::min_element(visits_.begin(), visits_.end(), first_of)->came;
  const double ahead  = std::floor(first - clock_.now()) - 1; // a whole number, to stay on the grid
  const Slots& at     = streams_.slots.front();
  if (sends_over_dcn_from(at.step_index(visits_.front().slot)))
    for (const std::vector<int>& host : hosts_.classes) {
      double came = std::numeric_limits<double>::max();
      double sent = 0;
      for (const int c : host) {
        came = std::min(came, visits_[static_cast<std::size_t>(c)].came);
        sent = std::max(sent, sent_over_dcn_[static_cast<std::size_t>(c)]);
      }
      if (sent > came)
        throw FoldStopped("devices of a host send over its NIC before and after parts meet");
    }
  for (std::size_t c = 0; c < visits_.size(); ++c) {
    streams_.classes[c].skipped = ahead;
    clock_.wait(processors_[c], visits_[c].came - ahead - clock_.now(),
                {meeting_token, static_cast<int>(c), visits_[c].slot, 0, 0});
    visits_[c].let_in = true; // nobody asks before that has ended
  }
  for (Part& part : parts_) {
    part.boundary.reset();
    for (History* history : {&part.layers, &part.forward_passes, &part.backward_passes})
      history->clear();
  }
  there_ = 0;
}

// By chunks: what goes as one event is on no link.
bool TimeFold::sends_over_dcn_from(std::int32_t step) const
{
  const Stage& stage = replay_.program.stages.front();
  return std::any_of(stage.steps.begin() + step, stage.steps.end(), [&](const Step& one) {
    const std::vector<TimedOperation>& block =
        replay_.timed.programs[stage.program][static_cast<std::size_t>(one.block)];
    return std::any_of(block.begin(), block.end(),
                       [](const TimedOperation& op) { return op.chunked && over_dcn(op.plan); });
  });
}

void TimeFold::look_back(Part& part, double time)
{
  const Slots& at         = streams_.slots_of(streams_.of(part.classes.front()));
  const Slots::Row& label = at.label(part.row);
  const Step& step        = at.step_of(part.row);
  if (label.step != part.step)
    part.layers.clear();
  part.step = label.step;
  std::vector<History*> kinds;
  if (step.count > 1)
    kinds.push_back(&part.layers);
  // A pass of another micro-batch begins or ends; where schedules interleave, of the first of a group.
  const BlockRole role = at.block(at.begin(part.row)).role;
  const auto stages    = static_cast<std::int32_t>(replay_.program.stages.size());
  if ((role == BlockRole::embedding || role == BlockRole::embedding_backward) && step.chunk == 0 &&
      (replay_.program.chunks == 1 || step.micro_batch % stages == 0))
    kinds.push_back(role == BlockRole::embedding ? &part.forward_passes : &part.backward_passes);
  if (kinds.empty())
    return;
  const Boundary now = boundary(part, time);
  for (History* kind : kinds)
    if (const auto then = kind->add(now); then && skip(part, *then, now)) {
      for (History* history : {&part.layers, &part.forward_passes, &part.backward_passes})
        history->clear();
      return;
    }
}

Boundary TimeFold::boundary(const Part& part, double time)
{
  Boundary now{.state = {}, .rows = {}, .time = time, .oldest = time, .records = streams_.trace.records.size()};
  std::vector<std::int32_t> first(streams_.classes.size(), -1); // slot of the row where each class of the part stands
  for (const int c : part.classes) {
    const Stream& s = streams_.of(c);
    now.rows.push_back(streams_.slots_of(s).row(s.slot));
    first[static_cast<std::size_t>(c)] = streams_.slots_of(s).begin(now.rows.back());
  }
  const auto age = [&](double since) {
    now.whole = now.whole && time - since == std::floor(time - since);
    return static_cast<std::int64_t>(time - since);
  };
  const auto age_of = [&](Seconds since) { return age(since.value() * ticks_per_second); };
  const std::int32_t micro_batch =
      streams_.slots_of(streams_.of(part.classes.front())).step_of(now.rows.front()).micro_batch;
  std::vector<std::vector<std::int64_t>> rows;
  for (std::size_t i = 0; i < part.classes.size(); ++i) {
    const Stream& s         = streams_.of(part.classes[i]);
    const std::int32_t from = first[static_cast<std::size_t>(part.classes[i])];
    now.state.add(s.slot - from, s.running ? s.after_run - from : 0, s.opened_rows - now.rows[i], s.reached, s.running,
                  s.outstanding);
    for (const Pending& one : s.pending)
      rows.push_back(
          {one.slot - from, age_of(one.ready), one.start ? age_of(*one.start) : -1, one.operations, one.waited_for});
    now.state.add_sorted(rows);
    for (const auto& [axes, queue] : s.queues) {
      now.state.add(axes, queue.running, static_cast<std::int64_t>(queue.slots.size()));
      for (const std::int32_t slot : queue.slots)
        now.state.add(slot - from);
    }
    if (!s.ended.empty()) {
      const Slots& at           = streams_.slots_of(s);
      const std::int32_t oldest = at.begin(oldest_row(s, at));
      now.state.add(from - oldest);
      for (std::int32_t slot = oldest; slot < at.begin(std::max(s.opened_rows, now.rows[i])); ++slot)
        now.state.add(s.ended[static_cast<std::size_t>(slot)]);
    }
    for (const auto* messages : {&s.sent, &s.arrived}) {
      now.state.add(static_cast<std::int64_t>(messages->size()));
      for (const auto& [message, left] : *messages)
        now.state.add(message.receiver, message.towards, message.micro_batch - micro_batch, age_of(left));
    }
  }
  for (const auto& [sender, transfers] : streams_.sending)
    if (is_of(part, sender.first))
      rows.push_back({sender.first, sender.second - first[static_cast<std::size_t>(sender.first)], transfers});
  now.state.add_sorted(rows);
  collectives_.describe(now.state, first);
  const double skipped = streams_.of(part.classes.front()).skipped;
  clock_.each_running([&](const Token& token, double since) {
    if (!is_of(part, token.device_class))
      return;
    now.oldest = std::min(now.oldest, since + skipped);
    rows.push_back({token.kind, token.device_class, token.slot - first[static_cast<std::size_t>(token.device_class)],
                    token.part, token.direction, age(since + skipped)});
  });
  now.state.add_sorted(rows);
  return now;
}

// Nothing where the classes of a stage do not keep the same pace.
std::optional<std::vector<TimeFold::Window>> TimeFold::windows(const Part& part, const Boundary& then,
                                                               const Boundary& now)
{
  std::vector<Window> all(streams_.slots.size(), {std::numeric_limits<std::int32_t>::max(), 0});
  const auto covers = [&](const Stream& s, std::int32_t row) {
    all[s.stage].first = std::min(all[s.stage].first, row);
    all[s.stage].last  = std::max(all[s.stage].last, row);
  };
  for (std::size_t i = 0; i < part.classes.size(); ++i) {
    const Stream& s          = streams_.of(part.classes[i]);
    Window& window           = all[s.stage];
    const std::int32_t shift = now.rows[i] - then.rows[i];
    if (window.shift >= 0 && window.shift != shift)
      return {};
    window.shift = shift;
    covers(s, now.rows[i]);
    covers(s, s.opened_rows);
    if (s.running)
      covers(s, streams_.slots_of(s).row(s.after_run));
    for (const Pending& one : s.pending)
      covers(s, streams_.slots_of(s).row(one.slot));
  }
  clock_.each_running([&](const Token& token, double) {
    const Stream& s = streams_.of(token.device_class);
    if (is_of(part, token.device_class))
      covers(s, streams_.slots_of(s).row(token.slot));
  });
  return all;
}

// Goes on as if what happened between the boundaries had happened as often again as the program lets it.
bool TimeFold::skip(const Part& part, const Boundary& then, const Boundary& now)
{
  auto found = windows(part, then, now);
  if (!found || !entered_.empty())
    return false;
  const Stream& first = streams_.of(part.classes.front());
  const Slots& at     = streams_.slots_of(first);
  const std::int32_t micro_batches =
      at.step_of(now.rows.front()).micro_batch - at.step_of(then.rows.front()).micro_batch;
  auto times = std::numeric_limits<std::int32_t>::max();
  for (std::size_t stage = 0; stage < found->size(); ++stage) {
    Window& window = (*found)[stage];
    if (window.shift <= 0) // it waits
      continue;
    window.period = row_period(streams_.slots[stage], window.first - window.shift, window.shift, micro_batches);
    const std::int32_t beyond = window.period.end - window.last - 2; // whoever goes on looks at the row ahead
    times                     = std::min(times, beyond < 0 ? 0 : beyond / window.shift + 1);
  }
  if (times < 1 || (*found)[first.stage].shift == 0)
    return false;

  Repetition repetition{then.records, now.records, times, to_seconds(now.time - then.time), {}};
  std::vector<std::int32_t> slots(streams_.classes.size(), -1); // for those of the part
  for (const int c : part.classes) {
    const Stream& s                    = streams_.of(c);
    const Window& window               = (*found)[s.stage];
    slots[static_cast<std::size_t>(c)] = streams_.slots_of(s).begin(times * window.shift);
    if (const int number = streams_.recorded[static_cast<std::size_t>(c)]; number >= 0) {
      repetition.advance.resize(std::max(repetition.advance.size(), static_cast<std::size_t>(number) + 1));
      repetition.advance[static_cast<std::size_t>(number)] = {true, window.period.steps, window.period.iterations};
    }
  }
  for (const int c : part.classes)
    if (double& sent = sent_over_dcn_[static_cast<std::size_t>(c)]; sent > then.time) // and again, each time
      sent += (now.time - then.time) * times;
  move_on(part, slots, times * micro_batches, (now.time - then.time) * times);
  Trace& trace = streams_.trace;
  if (&part == &parts_.front()) {
    trace.repeated_layers += std::int64_t{times} * (*found)[first.stage].period.iterations;
    trace.repeated_micro_batches += std::int64_t{times} * micro_batches;
  }
  repetition.advance.resize(
      static_cast<std::size_t>(*std::max_element(streams_.recorded.begin(), streams_.recorded.end())) + 1);
  trace.repetitions.push_back(std::move(repetition));
  return true;
}

// What is under way becomes what is under way so many slots and ticks later.
void TimeFold::move_on(const Part& part, const std::vector<std::int32_t>& slots, std::int32_t micro_batches,
                       double later)
{
  const auto by = [&](int c) { return std::max(slots[static_cast<std::size_t>(c)], 0); };
  for (const int c : part.classes) {
    Stream& s               = streams_.of(c);
    const std::int32_t rows = by(c) / streams_.slots_of(s).width();
    if (!s.ended.empty()) {
      const Slots& at = streams_.slots_of(s);
      const auto from = s.ended.begin() + at.begin(oldest_row(s, at));
      const auto to   = s.ended.begin() + at.begin(s.opened_rows);
      std::copy_backward(from, to, to + by(c));
    }
    s.slot += by(c);
    s.after_run += by(c);
    s.opened_rows += rows;
    s.skipped += later;
    for (Pending& one : s.pending) {
      one.slot += by(c);
      one.ready += to_seconds(later);
      if (one.start)
        *one.start += to_seconds(later);
    }
    for (auto& [axes, queue] : s.queues)
      for (std::int32_t& slot : queue.slots)
        slot += by(c);
    for (auto* messages : {&s.sent, &s.arrived}) {
      std::map<Message, Seconds> moved;
      for (const auto& [message, left] : *messages)
        moved.emplace(Message{message.receiver, message.towards, message.micro_batch + micro_batches},
                      left + to_seconds(later));
      *messages = std::move(moved);
    }
  }
  std::map<std::pair<int, std::int32_t>, std::int64_t> sending;
  for (const auto& [sender, transfers] : streams_.sending)
    sending.emplace(std::pair(sender.first, sender.second + by(sender.first)), transfers);
  streams_.sending = std::move(sending);
  collectives_.move_on(slots);
  clock_.each_running([&](Token& token, double) { token.slot += by(token.device_class); });
}

} // namespace podsim
