#include "sim/engine/executor.hpp"

#include "sim/engine/collective_runner.hpp"

#include <algorithm>
#include <deque>
#include <fmt/format.h>
#include <map>
#include <stdexcept>

namespace podsim {
namespace {

constexpr std::int32_t compute_token = 0;

// The program as a row of slots: one execution of one operation each. All devices have the same row.
class Slots {
public:
  explicit Slots(const DeviceProgram& program) : program_(program)
  {
    for (std::size_t b = 0; b < program.blocks.size(); ++b)
      for (std::int64_t i = 0; i < program.blocks[b].count; ++i) {
        begin_.push_back(end());
        for (std::size_t o = 0; o < program.blocks[b].operations.size(); ++o)
          places_.push_back({static_cast<std::int32_t>(b), static_cast<std::int32_t>(i), static_cast<std::int32_t>(o),
                             static_cast<std::int32_t>(begin_.size()) - 1});
      }
    begin_.push_back(end());
  }

  struct Place {
    std::int32_t block, iteration, operation;
    std::int32_t row; // iterations of all blocks counted through
  };

  std::int32_t end() const { return static_cast<std::int32_t>(places_.size()); }
  std::int32_t rows() const { return static_cast<std::int32_t>(begin_.size()) - 1; }
  std::int32_t begin(std::int32_t row) const { return begin_[static_cast<std::size_t>(row)]; }
  const Place& place(std::int32_t slot) const { return places_[static_cast<std::size_t>(slot)]; }
  const DeviceBlock& block(std::int32_t slot) const
  {
    return program_.blocks[static_cast<std::size_t>(place(slot).block)];
  }
  const DeviceOperation& operation(std::int32_t slot) const
  {
    return block(slot).operations[static_cast<std::size_t>(place(slot).operation)];
  }

private:
  const DeviceProgram& program_;
  std::vector<Place> places_;
  std::vector<std::int32_t> begin_;
};

struct Pending { // reached, and not ended
  std::int32_t slot;
  TraceRecord record;
};

struct Queue {
  std::deque<std::int32_t> slots;
  bool running = false; // the front one
};

struct Stream {
  std::int32_t slot        = 0;     // the next in order
  std::int32_t opened_rows = 0;     // whose operand-free collectives are in their queues
  bool reached             = false; // the operation at `slot`
  bool running             = false; // it, too
  std::vector<Pending> pending;
  std::map<AxisMask, Queue> queues;
  std::vector<char> ended;      // of each slot, for asynchronous ones
  std::int64_t outstanding = 0; // asynchronous collectives in queues
  AxisMask last_ended      = 0; // mesh axes of the asynchronous collective that ended last
};

class Executor {
public:
  explicit Executor(const Replay& replay)
      : replay_(replay), slots_(replay.program.programs.front()), streams_(replay.partition.classes.size()),
        recorded_(streams_.size(), -1), processors_(make_processors()),
        collectives_(engine_, processors_, replay.machine, replay.placement, replay.partition)
  {
    for (Stream& stream : streams_)
      stream.ended.assign(static_cast<std::size_t>(slots_.end()), 0);
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
          if (token.kind != compute_token) {
            collectives_.on_end(token);
          } else {
            end(token.device_class, token.slot);
            advance(token.device_class);
          }
        });
    for (const Stream& stream : streams_)
      if (stream.slot != slots_.end() || stream.outstanding != 0)
        throw std::logic_error(fmt::format("the simulation stopped at slot {} of {}", stream.slot, slots_.end()));
    trace_.end               = now();
    trace_.simulated_classes = static_cast<std::int64_t>(streams_.size());
    trace_.activities        = engine_.activities();
    for (const std::vector<TimedOperation>& block : replay_.timed)
      trace_.chunked = trace_.chunked || std::any_of(block.begin(), block.end(),
                                                     [](const TimedOperation& operation) { return operation.chunked; });
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

  Stream& stream(int c) { return streams_[static_cast<std::size_t>(c)]; }
  Seconds now() const { return to_seconds(engine_.now()); }
  const TimedOperation& timed(std::int32_t slot) const
  {
    const Slots::Place& place = slots_.place(slot);
    return replay_.timed[static_cast<std::size_t>(place.block)][static_cast<std::size_t>(place.operation)];
  }

  Pending& pending(int c, std::int32_t slot)
  {
    std::vector<Pending>& all = stream(c).pending;
    return *std::find_if(all.begin(), all.end(), [&](const Pending& one) { return one.slot == slot; });
  }

  Pending& reach(int c, std::int32_t slot)
  {
    const Slots::Place& place = slots_.place(slot);
    return stream(c).pending.emplace_back(Pending{
        slot,
        {recorded_[static_cast<std::size_t>(c)], place.block, place.iteration, place.operation, now(), {}, {}, 0}});
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
      replay_.progress(static_cast<double>(slot) / slots_.end());
    if (!slots_.operation(slot).asynchronous) {
      s.running = s.reached = false;
      ++s.slot;
    }
  }

  // Goes on in program order as far as nothing has to be waited for.
  void advance(int c)
  {
    Stream& s = stream(c);
    while (!s.running && s.slot != slots_.end()) {
      open_window(c);
      const DeviceOperation& operation = slots_.operation(s.slot);
      if (operation.asynchronous) {
        if (!operation.needs.empty()) // one without operands is in its queue since the window opened
          enqueue(c, s.slot);
        ++s.slot;
        continue;
      }
      if (!s.reached)
        reach(c, s.slot);
      s.reached           = true;
      TraceRecord& record = pending(c, s.slot).record;
      if (!may_start(s, s.slot))
        return;
      if (now() > record.ready)
        record.waited_for = s.last_ended;
      s.running = true;
      if (operation.kind == DeviceOperation::Kind::collective) {
        collectives_.arrive(c, s.slot, timed(s.slot), operation.collective.axes);
      } else {
        record.start = now();
        engine_.compute(processors_[static_cast<std::size_t>(c)], timed(s.slot).duration,
                        {compute_token, c, s.slot, 0, 0});
      }
    }
  }

  // All asynchronous collectives that this slot needs have ended.
  bool may_start(const Stream& s, std::int32_t slot) const
  {
    const std::int32_t operation = slots_.place(slot).operation;
    const DeviceBlock& block     = slots_.block(slot);
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
    Stream& s = stream(c);
    const std::int32_t last =
        std::min(slots_.place(s.slot).row + replay_.program.prefetch_iterations, slots_.rows() - 1);
    for (; s.opened_rows <= last; ++s.opened_rows)
      for (std::int32_t slot = slots_.begin(s.opened_rows); slot < slots_.begin(s.opened_rows + 1); ++slot)
        if (slots_.operation(slot).asynchronous && slots_.operation(slot).needs.empty())
          enqueue(c, slot);
  }

  void enqueue(int c, std::int32_t slot)
  {
    Stream& s = stream(c);
    ++s.outstanding;
    reach(c, slot);
    s.queues[slots_.operation(slot).collective.axes].slots.push_back(slot);
    start_queues(c);
  }

  void start_queues(int c)
  {
    Stream& s = stream(c);
    for (auto& [axes, queue] : s.queues)
      if (!queue.running && !queue.slots.empty() && may_start(s, queue.slots.front())) {
        queue.running = true;
        collectives_.arrive(c, queue.slots.front(), timed(queue.slots.front()), axes);
      }
  }

  void on_collective_ended(int c, std::int32_t slot)
  {
    Stream& s                        = stream(c);
    const DeviceOperation& operation = slots_.operation(slot);
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
  Slots slots_;
  SimgridEngine engine_;
  std::vector<Stream> streams_; // of each class
  std::vector<int> recorded_;   // index in the trace, or -1
  std::vector<Processor> processors_;
  CollectiveRunner collectives_;
  Trace trace_;
};

} // namespace

Trace execute(const Replay& replay)
{
  return Executor(replay).run();
}

} // namespace podsim
