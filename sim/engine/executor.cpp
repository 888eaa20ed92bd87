#include "sim/engine/executor.hpp"

#include "sim/engine/collective_runner.hpp"

#include <algorithm>
#include <deque>
#include <fmt/format.h>
#include <map>
#include <set>
#include <stdexcept>
#include <tuple>

namespace podsim {
namespace {

constexpr std::int32_t compute_token = 0, transfer_token = 3; // others are the CollectiveRunner's

// What a stage does as rows, an iteration of a block each; a slot is a place in a row. All devices of a stage have
// the same rows.
class Slots {
public:
  Slots(const DeviceProgram& program, const Stage& stage, const TimedBlocks& timed)
      : program_(program), stage_(stage), timed_(timed)
  {
    for (const DeviceBlock& block : program.blocks) {
      width_ = std::max(width_, static_cast<std::int32_t>(block.operations.size()));
      for (const DeviceOperation& operation : block.operations)
        has_asynchronous_ = has_asynchronous_ || operation.asynchronous;
    }
    for (std::size_t step = 0; step < stage.steps.size(); ++step)
      for (std::int32_t i = 0; i < stage.steps[step].count; ++i)
        rows_.push_back({static_cast<std::int32_t>(step), i});
  }

  std::int32_t end() const { return rows() * width_; }
  std::int32_t rows() const { return static_cast<std::int32_t>(rows_.size()); }
  std::int32_t row(std::int32_t slot) const { return slot / width_; }
  std::int32_t begin(std::int32_t row) const { return row * width_; }
  std::int32_t place(std::int32_t slot) const { return slot % width_; } // the operation's index in its block
  std::int32_t iteration(std::int32_t slot) const { return rows_[static_cast<std::size_t>(row(slot))].iteration; }
  std::int32_t step_index(std::int32_t slot) const { return rows_[static_cast<std::size_t>(row(slot))].step; }
  const Step& step(std::int32_t slot) const { return stage_.steps[static_cast<std::size_t>(step_index(slot))]; }
  const DeviceBlock& block(std::int32_t slot) const
  {
    return program_.blocks[static_cast<std::size_t>(step(slot).block)];
  }
  const DeviceOperation& operation(std::int32_t slot) const
  {
    return block(slot).operations[static_cast<std::size_t>(place(slot))];
  }
  const TimedOperation& timed(std::int32_t slot) const
  {
    return timed_[static_cast<std::size_t>(step(slot).block)][static_cast<std::size_t>(place(slot))];
  }
  std::int32_t size(std::int32_t row) const // operations in the row
  {
    return static_cast<std::int32_t>(block(begin(row)).operations.size());
  }
  std::int32_t next(std::int32_t slot) const
  {
    std::int32_t after = row(slot);
    if (place(slot) + 1 < size(after))
      return slot + 1;
    for (++after; after < rows() && size(after) == 0; ++after) {
    }
    return begin(after);
  }
  bool has_asynchronous() const { return has_asynchronous_; }

private:
  struct Row {
    std::int32_t step, iteration;
  };
  const DeviceProgram& program_;
  const Stage& stage_;
  const TimedBlocks& timed_;
  std::int32_t width_ = 1;
  std::vector<Row> rows_;
  bool has_asynchronous_ = false;
};

struct Pending { // reached, and not ended
  std::int32_t slot;
  TraceRecord record;
};

struct Queue {
  std::deque<std::int32_t> slots;
  bool running = false; // the front one
};

// A message between stages: the virtual stage that receives it, which way it goes, and of which micro-batch.
using Message = std::tuple<std::int32_t, std::int32_t, std::int32_t>;

struct Stream {
  std::size_t stage        = 0;
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
};

class Executor {
public:
  explicit Executor(const Replay& replay)
      : replay_(replay), streams_(replay.partition.classes.size()), recorded_(streams_.size(), -1),
        processors_(make_processors()), network_(engine_, replay.machine, replay.placement, replay.partition),
        collectives_(engine_, processors_, replay.machine, replay.placement, replay.partition, network_)
  {
    for (const Stage& stage : replay.program.stages)
      slots_.emplace_back(replay.program.programs[stage.program], stage, replay.timed[stage.program]);
    for (std::size_t c = 0; c < streams_.size(); ++c)
      prepare(c);
    for (std::size_t i = 0; i < replay.recorded.size(); ++i)
      recorded_[static_cast<std::size_t>(replay.recorded[i])] = static_cast<int>(i);
    collectives_.listen([this](int c, std::int32_t slot) { pending(c, slot).record.start = now(); },
                        [this](int c, std::int32_t slot) { on_collective_ended(c, slot); });
  }

  Trace run()
  {
    engine_.run(
        [this] {
          for (int c = 0; c < static_cast<int>(streams_.size()); ++c)
            advance(c);
        },
        [this](const Token& token) {
          if (token.kind == compute_token) {
            end(token.device_class, token.slot);
            advance(token.device_class);
          } else if (token.kind == transfer_token) {
            on_transferred(token.device_class, token.slot);
          } else {
            collectives_.on_end(token);
          }
        });
    for (const Stream& stream : streams_)
      if (stream.slot != slots(stream).end() || stream.outstanding != 0)
        throw std::logic_error(
            fmt::format("the simulation stopped at slot {} of {}", stream.slot, slots(stream).end()));
    trace_.end               = now();
    trace_.simulated_classes = static_cast<std::int64_t>(streams_.size());
    trace_.activities        = engine_.activities();
    for (const TimedBlocks& program : replay_.timed)
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
        streams_[static_cast<std::size_t>(all.class_of[static_cast<std::size_t>(from)])].to[d].push_back(
            static_cast<int>(c));
      }
    }
    s.ended.assign(static_cast<std::size_t>(slots(s).has_asynchronous() ? slots(s).end() : 0), 0);
  }

  Stream& stream(int c) { return streams_[static_cast<std::size_t>(c)]; }
  const Slots& slots(const Stream& s) const { return slots_[s.stage]; }
  Seconds now() const { return to_seconds(engine_.now()); }

  Pending& pending(int c, std::int32_t slot)
  {
    std::vector<Pending>& all = stream(c).pending;
    return *std::find_if(all.begin(), all.end(), [&](const Pending& one) { return one.slot == slot; });
  }

  Pending& reach(int c, std::int32_t slot)
  {
    const Slots& at = slots(stream(c));
    return stream(c).pending.emplace_back(Pending{slot,
                                                  {recorded_[static_cast<std::size_t>(c)],
                                                   at.step_index(slot),
                                                   at.iteration(slot),
                                                   at.place(slot),
                                                   1,
                                                   now(),
                                                   {},
                                                   {},
                                                   0}});
  }

  void end(int c, std::int32_t slot)
  {
    Stream& s          = stream(c);
    TraceRecord record = pending(c, slot).record;
    std::erase_if(s.pending, [&](const Pending& one) { return one.slot == slot; });
    record.end = now();
    if (record.device_class >= 0)
      trace_.records.push_back(record);
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
      TraceRecord& record = pending(c, s.slot).record;
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
  void run_from(int c, TraceRecord& record)
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
      sum += at.timed(slot).duration;
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

  void send(int c, TraceRecord& record)
  {
    Stream& s                        = stream(c);
    const std::int32_t slot          = s.slot;
    const DeviceOperation& operation = slots(s).operation(slot);
    const std::size_t d              = operation.towards > 0 ? 0 : 1;
    const AxisFactor factor          = stage_factor(replay_.program, replay_.placement);
    record.start                     = now();
    s.after_run                      = slots(s).next(slot);
    for (const int receiver : s.to[d])
      stream(receiver).sent[message(s, slot)] = now();
    sending_[{c, slot}] = network_.transfers(factor, c);
    network_.send(factor, c, static_cast<int>(d), slots(s).timed(slot).duration, {transfer_token, c, slot, 0, 0});
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

  // What is waited for before the data has left its sender is the sender's doing; after that, the transfer's.
  bool receive(int c, TraceRecord& record)
  {
    Stream& s        = stream(c);
    const auto found = s.arrived.find(message(s, s.slot));
    if (found == s.arrived.end())
      return false;
    record.start = std::max(record.ready, found->second);
    s.arrived.erase(found);
    s.after_run = slots(s).next(s.slot);
    // Where both sides block, the data moves when both are there: one that comes late waits for all of it.
    const Ticks whole = slots(s).timed(s.slot).duration;
    const Ticks rest =
        replay_.program.blocking_receives ? to_ticks(record.ready) + whole - static_cast<Ticks>(engine_.now()) : 0;
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

  const Replay& replay_;
  std::vector<Slots> slots_; // of each stage
  SimgridEngine engine_;
  std::vector<Stream> streams_; // of each class
  std::vector<int> recorded_;   // index in the trace, or -1
  std::vector<Processor> processors_;
  Network network_;
  CollectiveRunner collectives_;
  std::map<std::pair<int, std::int32_t>, std::int64_t> sending_; // transfers under way, by class and slot
  Trace trace_;
};

} // namespace

Trace execute(const Replay& replay)
{
  return Executor(replay).run();
}

} // namespace podsim
