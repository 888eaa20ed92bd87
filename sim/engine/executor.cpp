#include "sim/engine/executor.hpp"

#include "sim/engine/collective_runner.hpp"
#include "sim/engine/recurrence.hpp"
#include "sim/engine/slots.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

namespace podsim {
namespace {

constexpr std::int32_t compute_token = 0, transfer_token = 3; // others are the CollectiveRunner's

struct Pending { // reached, and not ended
  std::int32_t slot;
  Seconds ready;
  std::optional<Seconds> start;
  std::int32_t operations = 1;
  AxisMask waited_for     = 0;
};

struct Queue {
  std::deque<std::int32_t> slots;
  bool running = false; // the front one
};

// A message between stages: the virtual stage that receives it, which way it goes, and of which micro-batch.
struct Message {
  std::int32_t receiver, towards, micro_batch;
  friend auto operator<=>(const Message&, const Message&) = default;
};

struct Stream {
  std::size_t stage        = 0;
  const std::vector<std::vector<Ticks>>* durations = nullptr; // on devices of its speed, by block and operation
  std::int32_t slot        = 0;     // the next in order
  std::int32_t after_run   = 0;     // the slot after the operations that run now
  std::int32_t opened_rows = 0;     // whose operand-free collectives are in their queues
  bool reached             = false; // the operation at `slot`
  bool running             = false; // it, too
  std::vector<Pending> pending;
  std::map<AxisMask, Queue> queues;
  std::vector<char> ended;            // of each slot, for asynchronous ones
  std::int64_t outstanding = 0;       // asynchronous collectives in queues
  AxisMask last_ended      = 0;       // mesh axes of the asynchronous collective that ended last
  std::map<Message, Seconds> sent;    // messages on their way here, and when they left
  std::map<Message, Seconds> arrived; // with when they left
  std::array<std::vector<int>, 2> to; // classes that hear what is sent down (0) and up (1) the pipeline
  std::array<int, 2> from{-1, -1};    // and the class that it hears
};

class Executor {
public:
  explicit Executor(const Replay& replay)
      : replay_(replay), streams_(replay.partition.classes.size()), recorded_(streams_.size(), -1),
        processors_(make_processors()), network_(engine_, replay.machine, replay.placement, replay.partition),
        collectives_(engine_, processors_, replay.machine, replay.placement, replay.partition, network_)
  {
    for (const Stage& stage : replay.program.stages)
      slots_.emplace_back(replay.program.programs[stage.program], stage, replay.timed.programs[stage.program]);
    for (std::size_t c = 0; c < streams_.size(); ++c)
      prepare(c);
    for (std::size_t i = 0; i < replay.recorded.size(); ++i)
      recorded_[static_cast<std::size_t>(replay.recorded[i])] = static_cast<int>(i);
    if (replay.program.pipeline)
      stage_line_ = network_.line_of(stage_factor(replay.program, replay.placement));
    collectives_.listen([this](int c, std::int32_t slot) { pending(c, slot).start = now(); },
                        [this](int c, std::int32_t slot) { on_collective_ended(c, slot); });
  }

  Trace run()
  {
    engine_.run(
        [this] {
          for (int c = 0; c < static_cast<int>(streams_.size()); ++c)
            advance(c);
        },
        [this](const Token& token, double since) {
          if (replay_.skip_repetitions)
            before(token, since);
          if (token.kind == compute_token) {
            end(token.device_class, token.slot);
            advance(token.device_class);
          } else if (token.kind == transfer_token) {
            on_transferred(token.device_class, token.slot);
          } else {
            collectives_.on_end(token);
          }
          if (replay_.skip_repetitions)
            after();
        });
    for (const Stream& stream : streams_)
      if (stream.slot != slots(stream).end() || stream.outstanding != 0)
        throw std::logic_error(
            fmt::format("the simulation stopped at slot {} of {}", stream.slot, slots(stream).end()));
    trace_.end               = now();
    trace_.simulated_classes = static_cast<std::int64_t>(streams_.size());
    trace_.activities        = engine_.activities();
    for (const TimedBlocks& program : replay_.timed.programs)
      for (const std::vector<TimedOperation>& block : program)
        trace_.chunked = trace_.chunked || std::any_of(block.begin(), block.end(), [](const TimedOperation& operation) {
                           return operation.chunked;
                         });
    return std::move(trace_);
  }

private:
  std::vector<Processor> make_processors()
  {
    std::vector<Processor> all;
    for (std::size_t c = 0; c < streams_.size(); ++c)
      all.push_back(engine_.add_processor());
    return all;
  }

  // Where the class stands in the pipeline, and who hears it there.
  void prepare(std::size_t c)
  {
    Stream& s                 = streams_[c];
    const DeviceClasses& all  = replay_.partition;
    const std::int64_t device = all.classes[c].representative;
    const auto mesh_axis      = replay_.program.pipeline;
    if (mesh_axis) {
      const AxisPlacement& placement = replay_.placement[*mesh_axis];
      s.stage                        = static_cast<std::size_t>(position(placement, device, replay_.machine.lattice));
      for (std::size_t d = 0; d < 2; ++d) {
        const std::int64_t from = neighbour(placement, device, d == 0 ? -1 : 1, replay_.machine);
        s.from[d]               = all.class_of[static_cast<std::size_t>(from)];
        stream(s.from[d]).to[d].push_back(static_cast<int>(c));
      }
    }
    s.durations = &replay_.timed.durations(replay_.program.stages[s.stage].program,
                                           replay_.machine.overrides.device(device));
    s.ended.assign(static_cast<std::size_t>(slots(s).has_asynchronous() ? slots(s).end() : 0), 0);
  }

  Stream& stream(int c) { return streams_[static_cast<std::size_t>(c)]; }
  const Slots& slots(const Stream& s) const { return slots_[s.stage]; }
  double ticks() const { return engine_.now() + skipped_; }
  Seconds now() const { return to_seconds(ticks()); }
  Ticks duration(int c, std::int32_t slot) const
  {
    const Stream& s = streams_[static_cast<std::size_t>(c)];
    return (*s.durations)[static_cast<std::size_t>(slots(s).block_index(slot))]
                         [static_cast<std::size_t>(slots(s).place(slot))];
  }

  Pending& pending(int c, std::int32_t slot)
  {
    std::vector<Pending>& all = stream(c).pending;
    return *std::find_if(all.begin(), all.end(), [&](const Pending& one) { return one.slot == slot; });
  }

  void reach(int c, std::int32_t slot) { stream(c).pending.push_back({.slot = slot, .ready = now(), .start = {}}); }

  void end(int c, std::int32_t slot)
  {
    Stream& s         = stream(c);
    const Pending own = pending(c, slot);
    std::erase_if(s.pending, [&](const Pending& one) { return one.slot == slot; });
    if (const int number = recorded_[static_cast<std::size_t>(c)]; number >= 0)
      trace_.records.push_back({number, slots(s).step_index(slot), slots(s).iteration(slot), slots(s).place(slot),
                                own.operations, own.ready, own.start.value(), now(), own.waited_for});
    if (replay_.progress && c == 0)
      replay_.progress(static_cast<double>(slot) / slots(s).end());
    if (!slots(s).operation(slot).asynchronous) {
      s.running = s.reached = false;
      s.slot                = s.after_run;
    }
  }

  // Goes on in program order as far as nothing has to be waited for.
  void advance(int c)
  {
    Stream& s       = stream(c);
    const Slots& at = slots(s);
    while (!s.running && s.slot != at.end()) {
      open_window(c);
      const DeviceOperation& operation = at.operation(s.slot);
      if (operation.asynchronous) {
        if (!operation.needs.empty()) // one without operands is in its queue since the window opened
          enqueue(c, s.slot);
        s.slot = at.next(s.slot);
        continue;
      }
      if (!s.reached)
        reach(c, s.slot);
      s.reached           = true;
      Pending& record     = pending(c, s.slot);
      if (!may_start(s, s.slot))
        return;
      if (now() > record.ready && operation.kind != DeviceOperation::Kind::receive)
        record.waited_for = s.last_ended;
      switch (operation.kind) {
      case DeviceOperation::Kind::compute:
        run_from(c, record);
        break;
      case DeviceOperation::Kind::collective:
        if (is_plain(c, s.slot)) {
          run_from(c, record);
        } else {
          s.running   = true;
          s.after_run = at.next(s.slot);
          collectives_.arrive(c, s.slot, at.timed(s.slot), operation.collective.axes);
        }
        break;
      case DeviceOperation::Kind::send:
        send(c, record);
        break;
      case DeviceOperation::Kind::receive:
        if (!receive(c, record))
          return;
        break;
      }
    }
  }

  // Nobody but the class itself has a part in it, and nothing but the operation decides how long it takes.
  bool is_plain(int c, std::int32_t slot)
  {
    const DeviceOperation& operation = slots(stream(c)).operation(slot);
    if (operation.asynchronous)
      return false;
    if (operation.kind == DeviceOperation::Kind::collective)
      return !slots(stream(c)).timed(slot).chunked && collectives_.is_alone(c, operation.collective.axes);
    return operation.kind == DeviceOperation::Kind::compute;
  }

  // Runs this operation and all that follow it of the same step until something else may have a say.
  void run_from(int c, Pending& record)
  {
    Stream& s             = stream(c);
    const Slots& at       = slots(s);
    Ticks sum             = 0;
    std::int32_t slot     = s.slot;
    const auto goes_on_to = [&](std::int32_t next) {
      const bool new_row = next == at.end() || at.row(next) != at.row(slot);
      return next != at.end() && !(new_row && at.has_asynchronous()) && at.step_index(next) == at.step_index(slot) &&
             is_plain(c, next) && may_start(s, next);
    };
    record.operations = 0;
    for (bool more = true; more; ++record.operations) {
      sum += duration(c, slot);
      s.after_run = at.next(slot);
      more        = goes_on_to(s.after_run);
      slot        = more ? s.after_run : slot;
    }
    record.start = now();
    s.running    = true;
    if (sum > 0)
      engine_.compute(processors_[static_cast<std::size_t>(c)], sum, {compute_token, c, s.slot, 0, 0});
    else
      end(c, s.slot);
  }

  Message message(const Stream& s, std::int32_t slot) const
  {
    const DeviceOperation& operation = slots(s).operation(slot);
    const Step& step                 = slots(s).step(slot);
    const auto stages                = static_cast<std::int32_t>(replay_.program.stages.size());
    const auto own                   = step.chunk * stages + static_cast<std::int32_t>(s.stage);
    const bool sends                 = operation.kind == DeviceOperation::Kind::send;
    return {own + (sends ? operation.towards : 0), operation.towards, step.micro_batch};
  }

  void send(int c, Pending& record)
  {
    Stream& s                        = stream(c);
    const std::int32_t slot          = s.slot;
    const DeviceOperation& operation = slots(s).operation(slot);
    const std::size_t d              = operation.towards > 0 ? 0 : 1;
    record.start                     = now();
    s.after_run                      = slots(s).next(slot);
    for (const int receiver : s.to[d])
      stream(receiver).sent[message(s, slot)] = now();
    sending_[{c, slot}] = network_.transfers(stage_line_, c);
    network_.send(stage_line_, c, static_cast<int>(d), duration(c, slot), {transfer_token, c, slot, 0, 0});
    if (replay_.program.blocking_transfers)
      s.running = true;
    else
      end(c, slot);
  }

  void on_transferred(int c, std::int32_t slot)
  {
    if (--sending_.at({c, slot}) > 0)
      return;
    sending_.erase({c, slot});
    Stream& s             = stream(c);
    const Message sent    = message(s, slot);
    const std::size_t way = slots(s).operation(slot).towards > 0 ? 0 : 1;
    if (replay_.program.blocking_transfers)
      end(c, slot);
    for (const int receiver : s.to[way]) {
      const auto left                = stream(receiver).sent.extract(sent);
      stream(receiver).arrived[sent] = left.mapped();
    }
    // Nothing goes on before all have been told.
    if (replay_.program.blocking_transfers)
      advance(c);
    for (const int receiver : s.to[way])
      advance(receiver);
  }

  // How long the message that a class is about to receive takes on a link of its own.
  Ticks whole_transfer(int c) const
  {
    const Stream& s         = streams_[static_cast<std::size_t>(c)];
    const int way           = slots(s).operation(s.slot).towards > 0 ? 0 : 1;
    const Ticks healthy     = duration(c, s.slot);
    return at_link_speed(healthy, network_.speed(stage_line_, s.from[static_cast<std::size_t>(way)], way));
  }

  // What is waited for before the data has left its sender is the sender's doing; after that, the transfer's.
  bool receive(int c, Pending& record)
  {
    Stream& s        = stream(c);
    const auto found = s.arrived.find(message(s, s.slot));
    if (found == s.arrived.end())
      return false;
    record.start = std::max(record.ready, found->second);
    s.arrived.erase(found);
    s.after_run = slots(s).next(s.slot);
    // Where both sides block, the data moves when both are there: one that comes late waits for all of it.
    const Ticks rest =
        replay_.program.blocking_receives ? to_ticks(record.ready) + whole_transfer(c) - static_cast<Ticks>(ticks()) : 0;
    if (rest > 0) {
      s.running = true;
      engine_.compute(processors_[static_cast<std::size_t>(c)], rest, {compute_token, c, s.slot, 0, 0});
    } else {
      end(c, s.slot);
    }
    return true;
  }

  // All asynchronous collectives that this slot needs have ended.
  bool may_start(const Stream& s, std::int32_t slot) const
  {
    const std::int32_t operation = slots(s).place(slot);
    const DeviceBlock& block     = slots(s).block(slot);
    if (operation == 0 && block.waits_for_asynchronous && s.outstanding > 0)
      return false;
    const std::vector<int>& needs = block.operations[static_cast<std::size_t>(operation)].needs;
    const auto first              = static_cast<std::size_t>(slot - operation);
    return std::all_of(needs.begin(), needs.end(), [&](int need) {
      return !block.operations[static_cast<std::size_t>(need)].asynchronous ||
             s.ended[first + static_cast<std::size_t>(need)];
    });
  }

  void open_window(int c)
  {
    Stream& s               = stream(c);
    const Slots& at         = slots(s);
    const std::int32_t last = std::min(at.row(s.slot) + replay_.program.prefetch_iterations, at.rows() - 1);
    for (; s.opened_rows <= last; ++s.opened_rows)
      for (std::int32_t i = 0; i < at.size(s.opened_rows); ++i) {
        const std::int32_t slot = at.begin(s.opened_rows) + i;
        if (at.operation(slot).asynchronous && at.operation(slot).needs.empty())
          enqueue(c, slot);
      }
  }

  void enqueue(int c, std::int32_t slot)
  {
    Stream& s = stream(c);
    ++s.outstanding;
    reach(c, slot);
    s.queues[slots(s).operation(slot).collective.axes].slots.push_back(slot);
    start_queues(c);
  }

  void start_queues(int c)
  {
    Stream& s = stream(c);
    for (auto& [axes, queue] : s.queues)
      if (!queue.running && !queue.slots.empty() && may_start(s, queue.slots.front())) {
        queue.running = true;
        collectives_.arrive(c, queue.slots.front(), slots(s).timed(queue.slots.front()), axes);
      }
  }

  void on_collective_ended(int c, std::int32_t slot)
  {
    Stream& s                        = stream(c);
    const DeviceOperation& operation = slots(s).operation(slot);
    end(c, slot);
    if (operation.asynchronous) {
      Queue& queue = s.queues[operation.collective.axes];
      queue.slots.pop_front();
      queue.running                           = false;
      s.ended[static_cast<std::size_t>(slot)] = 1;
      s.last_ended                            = operation.collective.axes;
      --s.outstanding;
      start_queues(c);
    }
    advance(c);
  }

  // ---- Folding in time ----

  // Before an event: if class 0 came to a new row at an earlier instant, all that happened then has happened now.
  void before(const Token& token, double since)
  {
    if (boundary_ && ticks() > *boundary_) {
      look_back(*boundary_);
      boundary_.reset();
    }
    const std::int32_t place = slots(stream(token.device_class)).place(token.slot);
    for (History* history : {&layers_, &forward_passes_, &backward_passes_})
      history->note(token, place, since + skipped_, ticks());
  }

  void after()
  {
    const Stream& first    = streams_.front();
    const std::int32_t row = slots(first).row(first.slot);
    if (first.slot == slots(first).end())
      boundary_.reset();
    else if (row != row_)
      boundary_ = ticks();
    row_ = row;
  }

  void look_back(double time)
  {
    const Slots& at         = slots(streams_.front());
    const Slots::Row& label = at.label(row_);
    const Step& step        = at.step_of(row_);
    if (label.step != step_)
      layers_.clear();
    step_ = label.step;
    std::vector<History*> kinds;
    if (step.count > 1)
      kinds.push_back(&layers_);
    // A pass of another micro-batch begins or ends; where schedules interleave, of the first of a group.
    const BlockRole role = at.block(at.begin(row_)).role;
    const auto stages    = static_cast<std::int32_t>(replay_.program.stages.size());
    if ((role == BlockRole::embedding || role == BlockRole::embedding_backward) && step.chunk == 0 &&
        (replay_.program.chunks == 1 || step.micro_batch % stages == 0))
      kinds.push_back(role == BlockRole::embedding ? &forward_passes_ : &backward_passes_);
    if (kinds.empty())
      return;
    const Boundary now = boundary(time);
    for (History* kind : kinds)
      if (const auto then = kind->add(now); then && skip(*then, now)) {
        for (History* history : {&layers_, &forward_passes_, &backward_passes_})
          history->clear();
        return;
      }
  }

  Boundary boundary(double time)
  {
    Boundary now{.time = time, .oldest = time, .records = trace_.records.size()};
    std::vector<std::int32_t> first; // slot of the row where each class stands
    for (const Stream& s : streams_) {
      now.rows.push_back(slots(s).row(s.slot));
      first.push_back(slots(s).begin(now.rows.back()));
    }
    const auto age = [&](double since) {
      now.on_grid = now.on_grid && time - since == std::floor(time - since);
      return static_cast<std::int64_t>(time - since);
    };
    const auto age_of = [&](Seconds since) { return age(since.value() * ticks_per_second); };
    const std::int32_t micro_batch = slots(streams_.front()).step_of(row_).micro_batch;
    std::vector<std::vector<std::int64_t>> rows;
    for (std::size_t c = 0; c < streams_.size(); ++c) {
      const Stream& s = streams_[c];
      now.state.add(s.slot - first[c], s.running ? s.after_run - first[c] : 0, s.opened_rows - now.rows[c], s.reached,
                    s.running, s.outstanding, s.last_ended);
      for (const Pending& one : s.pending)
        rows.push_back({one.slot - first[c], age_of(one.ready), one.start ? age_of(*one.start) : -1, one.operations,
                        one.waited_for});
      now.state.add_sorted(rows);
      for (const auto& [axes, queue] : s.queues) {
        now.state.add(axes, queue.running, static_cast<std::int64_t>(queue.slots.size()));
        for (const std::int32_t slot : queue.slots)
          now.state.add(slot - first[c]);
      }
      if (!s.ended.empty())
        for (std::int32_t slot = first[c]; slot < slots(s).begin(std::max(s.opened_rows, now.rows[c])); ++slot)
          now.state.add(s.ended[static_cast<std::size_t>(slot)]);
      for (const auto* messages : {&s.sent, &s.arrived}) {
        now.state.add(static_cast<std::int64_t>(messages->size()));
        for (const auto& [message, left] : *messages)
          now.state.add(message.receiver, message.towards, message.micro_batch - micro_batch, age_of(left));
      }
    }
    for (const auto& [sender, transfers] : sending_)
      rows.push_back({sender.first, sender.second - first[static_cast<std::size_t>(sender.first)], transfers});
    now.state.add_sorted(rows);
    collectives_.describe(now.state, first);
    engine_.each_running([&](const Token& token, double since) {
      now.oldest = std::min(now.oldest, since + skipped_);
      rows.push_back({token.kind, token.device_class, token.slot - first[static_cast<std::size_t>(token.device_class)],
                      token.part, token.direction, age(since + skipped_)});
    });
    now.state.add_sorted(rows);
    return now;
  }

  // Goes on as if what happened between the boundaries had happened as often again as the program lets it. What is
  // under way keeps its slots: they name later rows from now on.
  bool skip(const Boundary& then, const Boundary& now)
  {
    struct Window { // rows of a stage that somebody has to do with now
      std::int32_t first = std::numeric_limits<std::int32_t>::max(), last = 0, shift = -1;
      RowPeriod period{};
    };
    std::vector<Window> windows(slots_.size());
    const auto covers = [&](const Stream& s, std::int32_t row) {
      Window& window = windows[s.stage];
      window.first   = std::min(window.first, row);
      window.last    = std::max(window.last, row);
    };
    for (std::size_t c = 0; c < streams_.size(); ++c) {
      const Stream& s          = streams_[c];
      Window& window           = windows[s.stage];
      const std::int32_t shift = now.rows[c] - then.rows[c];
      if (window.shift >= 0 && window.shift != shift)
        return false;
      window.shift = shift;
      covers(s, now.rows[c]);
      covers(s, s.opened_rows);
      if (s.running)
        covers(s, slots(s).row(s.after_run));
      for (const Pending& one : s.pending)
        covers(s, slots(s).row(one.slot));
    }
    engine_.each_running([&](const Token& token, double) {
      const Stream& s = streams_[static_cast<std::size_t>(token.device_class)];
      covers(s, slots(s).row(token.slot));
    });
    const std::int32_t micro_batches =
        slots(streams_.front()).step_of(now.rows.front()).micro_batch -
        slots(streams_.front()).step_of(then.rows.front()).micro_batch;
    auto times = std::numeric_limits<std::int32_t>::max();
    for (std::size_t stage = 0; stage < windows.size(); ++stage) {
      Window& window = windows[stage];
      if (window.shift == 0) // it waits
        continue;
      window.period             = row_period(slots_[stage], window.first - window.shift, window.shift, micro_batches);
      const std::int32_t beyond = window.period.end - window.last - 2; // whoever goes on looks at the row ahead
      times                     = std::min(times, beyond < 0 ? 0 : beyond / window.shift + 1);
    }
    if (times < 1 || windows[streams_.front().stage].shift == 0)
      return false;

    const double later = (now.time - then.time) * times;
    Repetition repetition{then.records, now.records, times, to_seconds(now.time - then.time), {}};
    for (std::size_t stage = 0; stage < windows.size(); ++stage)
      if (windows[stage].shift > 0)
        slots_[stage].skip(windows[stage].first, times * windows[stage].shift);
    for (std::size_t c = 0; c < streams_.size(); ++c) {
      Stream& s = streams_[c];
      if (recorded_[c] >= 0) {
        const RowPeriod& period = windows[s.stage].period;
        repetition.advance.resize(std::max(repetition.advance.size(), static_cast<std::size_t>(recorded_[c]) + 1));
        repetition.advance[static_cast<std::size_t>(recorded_[c])] = {period.steps, period.iterations};
      }
      for (Pending& one : s.pending) {
        one.ready += to_seconds(later);
        if (one.start)
          *one.start += to_seconds(later);
      }
      for (auto* messages : {&s.sent, &s.arrived}) {
        std::map<Message, Seconds> moved;
        for (const auto& [message, left] : *messages)
          moved.emplace(Message{message.receiver, message.towards, message.micro_batch + times * micro_batches},
                        left + to_seconds(later));
        *messages = std::move(moved);
      }
    }
    skipped_ += later;
    const RowPeriod& first = windows[streams_.front().stage].period;
    trace_.repeated_layers += std::int64_t{times} * first.iterations;
    trace_.repeated_micro_batches += std::int64_t{times} * micro_batches;
    trace_.repetitions.push_back(std::move(repetition));
    return true;
  }

  const Replay& replay_;
  std::vector<Slots> slots_; // of each stage
  SimgridEngine engine_;
  std::vector<Stream> streams_; // of each class
  std::vector<int> recorded_;   // index in the trace, or -1
  std::vector<Processor> processors_;
  Network network_;
  CollectiveRunner collectives_;
  std::map<std::pair<int, std::int32_t>, std::int64_t> sending_; // transfers under way, by class and slot
  int stage_line_ = 0;                                             // of the network, that pipeline stages send over
  Trace trace_;

  double skipped_ = 0;                                // ticks that were not simulated
  History layers_, forward_passes_, backward_passes_; // boundaries of class 0: rows of a step; micro-batches
  std::optional<double> boundary_;                    // when it came to a new row, until the next instant
  std::int32_t row_ = 0, step_ = -1;                  // where it was last
};

} // namespace

Trace execute(const Replay& replay)
{
  return Executor(replay).run();
}

} // namespace podsim
