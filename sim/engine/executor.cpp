#include "sim/engine/executor.hpp"

#include "sim/engine/collective_runner.hpp"
#include "sim/engine/row.hpp"
#include "sim/engine/stream.hpp"
#include "sim/engine/time_fold.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <stdexcept>

namespace podsim {
namespace {

constexpr std::int32_t compute_token = 0, transfer_token = 3; // others are the CollectiveRunner's, and TimeFold's

class Executor {
public:
  Executor(const Replay& replay, Clock& clock)
      : replay_(replay), clock_(clock), streams_(make_streams(replay)), processors_(make_processors()),
        network_(clock, replay.machine, replay.placement, replay.partition),
        collectives_(clock, processors_, replay.machine, replay.placement, replay.partition, network_)
  {
    for (std::size_t c = 0; c < streams_.classes.size(); ++c)
      prepare(c);
    if (replay.program.pipeline)
      stage_line_ = network_.line_of(stage_factor(replay.program, replay.placement));
    collectives_.listen([this](int c, std::int32_t slot) { pending(c, slot).start = now(c); },
                        [this](int c, std::int32_t slot) { on_collective_ended(c, slot); });
    if (replay.skip_repetitions)
      fold_.emplace(replay, streams_, clock, processors_, collectives_);
  }

  Trace run()
  {
    clock_.run(
        [this] {
          for (int c = 0; c < static_cast<int>(streams_.classes.size()); ++c)
            advance(c);
        },
        [&](const Token& token, double since) {
          if (fold_)
            fold_->before(token, since);
          if (token.kind == compute_token) {
            end(token.device_class, token.slot);
            advance(token.device_class);
          } else if (token.kind == TimeFold::meeting_token) {
            advance(token.device_class);
          } else if (token.kind == transfer_token) {
            on_transferred(token.device_class, token.slot);
          } else {
            collectives_.on_end(token);
          }
          if (fold_)
            fold_->after(token);
        });
    Trace& trace = streams_.trace;
    for (const Stream& stream : streams_.classes)
      if (stream.slot != slots(stream).end() || stream.outstanding != 0) {
        const std::string what =
            fmt::format("the simulation stopped at slot {} of {}", stream.slot, slots(stream).end());
        if (!trace.repetitions.empty())
          throw FoldStopped(what);
        throw std::logic_error(what);
      }
    trace.simulated_classes = static_cast<std::int64_t>(streams_.classes.size());
    trace.activities        = clock_.activities();
    for (const TimedBlocks& program : replay_.timed.programs)
      for (const std::vector<TimedOperation>& block : program)
        trace.chunked = trace.chunked || std::any_of(block.begin(), block.end(),
                                                     [](const TimedOperation& operation) { return operation.chunked; });
    return std::move(trace);
  }

private:
  static Streams make_streams(const Replay& replay)
  {
    Streams streams;
    for (const Stage& stage : replay.program.stages)
      streams.slots.emplace_back(replay.program.programs[stage.program], stage, replay.timed.programs[stage.program]);
    streams.classes.resize(replay.partition.classes.size());
    streams.recorded.assign(streams.classes.size(), -1);
    for (std::size_t i = 0; i < replay.recorded.size(); ++i)
      streams.recorded[static_cast<std::size_t>(replay.recorded[i])] = static_cast<int>(i);
    return streams;
  }

  std::vector<Processor> make_processors()
  {
    std::vector<Processor> all;
    for (std::size_t c = 0; c < streams_.classes.size(); ++c)
      all.push_back(clock_.add_processor());
    return all;
  }

  // Where the class stands in the pipeline, and who hears it there.
  void prepare(std::size_t c)
  {
    Stream& s                 = streams_.classes[c];
    const DeviceClasses& all  = replay_.partition;
    const std::int64_t device = all.classes[c].representative;
    const auto mesh_axis      = replay_.program.pipeline;
    if (mesh_axis) {
      const AxisPlacement& placement = replay_.placement[*mesh_axis];
      s.stage                        = static_cast<std::size_t>(position(placement, device, replay_.machine.lattice));
      for (std::size_t d = 0; d < 2; ++d) {
        const std::int64_t from = neighbour(placement, device, d == 0 ? -1 : 1, replay_.machine.lattice);
        s.from[d]               = all.of(from);
        stream(s.from[d]).to[d].push_back(static_cast<int>(c));
      }
    }
    s.durations =
        &replay_.timed.durations(replay_.program.stages[s.stage].program, replay_.machine.overrides.device(device));
    s.plain_rows.resize(replay_.program.program_of(s.stage).blocks.size());
    s.ended.assign(static_cast<std::size_t>(slots(s).has_asynchronous() ? slots(s).end() : 0), 0);
  }

  Stream& stream(int c) { return streams_.of(c); }
  const Slots& slots(const Stream& s) const { return streams_.slots_of(s); }
  double ticks(int c) const { return clock_.now() + streams_.of(c).skipped; } // the time on the class's own clock
  Seconds now(int c) const { return to_seconds(ticks(c)); }
  Ticks duration(int c, std::int32_t slot) const
  {
    const Stream& s = streams_.of(c);
    return (*s.durations)[static_cast<std::size_t>(slots(s).block_index(slot))]
                         [static_cast<std::size_t>(slots(s).place(slot))];
  }

  Pending& pending(int c, std::int32_t slot)
  {
    std::vector<Pending>& all = stream(c).pending;
    return *std::find_if(all.begin(), all.end(), [&](const Pending& one) { return one.slot == slot; });
  }

  void reach(int c, std::int32_t slot) { stream(c).pending.push_back({.slot = slot, .ready = now(c), .start = {}}); }

  void end(int c, std::int32_t slot)
  {
    Stream& s         = stream(c);
    const Pending own = pending(c, slot);
    std::erase_if(s.pending, [&](const Pending& one) { return one.slot == slot; });
    if (const int number = streams_.recorded[static_cast<std::size_t>(c)]; number >= 0)
      streams_.trace.records.push_back({number, slots(s).step_index(slot), slots(s).iteration(slot),
                                        slots(s).place(slot), own.operations, own.ready, own.start.value(), now(c),
                                        own.waited_for});
    streams_.trace.end = std::max(streams_.trace.end, now(c));
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
      s.reached       = true;
      Pending& record = pending(c, s.slot);
      if (!may_start(s, s.slot) || (fold_ && !fold_->lets_in(c)))
        return;
      if (now(c) > record.ready && operation.kind != DeviceOperation::Kind::receive)
        record.waited_for = waited_for(s);
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

  // Of a class's operations in a block: those in which nobody but the class itself has a part, and of which nothing but
  // the operation decides how long they take.
  const PlainRow& plain_row(int c, std::int32_t block)
  {
    Stream& s     = stream(c);
    PlainRow& row = s.plain_rows[static_cast<std::size_t>(block)];
    if (!row.known) {
      const std::size_t program = replay_.program.stages[s.stage].program;
      const auto b              = static_cast<std::size_t>(block);
      const auto& operations    = replay_.program.programs[program].blocks[b].operations;
      bool all_alone            = true;
      for (std::size_t o = 0; o < operations.size(); ++o) {
        const bool alone =
            operations[o].kind == DeviceOperation::Kind::compute ||
            (operations[o].kind == DeviceOperation::Kind::collective &&
             !replay_.timed.programs[program][b][o].chunked && collectives_.is_alone(c, operations[o].collective.axes));
        row.plain.push_back(alone && !operations[o].asynchronous);
        all_alone = all_alone && alone;
      }
      if (all_alone) {
        const RowAlone by_itself = row_alone(replay_.program.programs[program].blocks[b], (*s.durations)[b]);
        row.whole                = by_itself.whole;
        row.time                 = by_itself.time;
      }
      row.known = true;
    }
    return row;
  }

  bool is_plain(int c, std::int32_t slot)
  {
    const Slots& at = slots(stream(c));
    return plain_row(c, at.block_index(slot)).plain[static_cast<std::size_t>(at.place(slot))];
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
    for (bool more = true; more;) {
      const PlainRow& row = plain_row(c, at.block_index(slot));
      if (at.place(slot) == 0 && row.whole && !at.has_ahead() && s.outstanding == 0) { // all rows of the step at once
        const std::int32_t rows = at.step(slot).count - at.iteration(slot);
        const std::int32_t size = at.size(at.row(slot));
        sum += rows * row.time;
        record.operations += rows * size;
        slot = at.begin(at.row(slot) + rows - 1) + size - 1;
      } else {
        sum += duration(c, slot);
        ++record.operations;
      }
      s.after_run = at.next(slot);
      more        = goes_on_to(s.after_run);
      slot        = more ? s.after_run : slot;
    }
    record.start = now(c);
    s.running    = true;
    if (sum > 0)
      clock_.compute(processors_[static_cast<std::size_t>(c)], sum, {compute_token, c, s.slot, 0, 0});
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
    record.start                     = now(c);
    s.after_run                      = slots(s).next(slot);
    for (const int receiver : s.to[d])
      stream(receiver).sent[message(s, slot)] = now(c);
    streams_.sending[{c, slot}] = network_.transfers(stage_line_, c);
    network_.send(stage_line_, c, static_cast<int>(d), duration(c, slot), {transfer_token, c, slot, 0, 0});
    if (replay_.program.blocking_transfers)
      s.running = true;
    else
      end(c, slot);
  }

  void on_transferred(int c, std::int32_t slot)
  {
    if (--streams_.sending.at({c, slot}) > 0)
      return;
    streams_.sending.erase({c, slot});
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
    const Stream& s     = streams_.of(c);
    const int way       = slots(s).operation(s.slot).towards > 0 ? 0 : 1;
    const Ticks healthy = duration(c, s.slot);
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
        replay_.program.blocking_receives ? to_ticks(record.ready) + whole_transfer(c) - std::llround(ticks(c)) : 0;
    if (rest > 0) {
      s.running = true;
      clock_.compute(processors_[static_cast<std::size_t>(c)], rest, {compute_token, c, s.slot, 0, 0});
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

  // What let the operation at hand start, if it was not there already: of the asynchronous collectives that it needs
  // and that end at this instant one, the same in whatever order they end.
  AxisMask waited_for(const Stream& s) const
  {
    const Slots& at          = slots(s);
    const DeviceBlock& block = at.block(s.slot);
    const auto place         = at.place(s.slot);
    const bool for_all       = place == 0 && block.waits_for_asynchronous;
    const auto& needs        = block.operations[static_cast<std::size_t>(place)].needs;
    AxisMask axes            = 0;
    for (const std::int32_t ended : s.ended_now)
      if (for_all ||
          (at.row(ended) == at.row(s.slot) && std::find(needs.begin(), needs.end(), at.place(ended)) != needs.end()))
        axes = std::max(axes, at.operation(ended).collective.axes);
    return axes;
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
      if (ticks(c) > s.ended_at)
        s.ended_now.clear();
      s.ended_at = ticks(c);
      s.ended_now.push_back(slot);
      --s.outstanding;
      start_queues(c);
    }
    advance(c);
  }

  const Replay& replay_;
  Clock& clock_;
  Streams streams_;
  std::vector<Processor> processors_;
  Network network_;
  CollectiveRunner collectives_;
  std::optional<TimeFold> fold_;
  int stage_line_ = 0; // of the network, that pipeline stages send over
};

} // namespace

Trace execute(const Replay& replay, Clock& clock)
{
  return Executor(replay, clock).run();
}

} // namespace podsim
