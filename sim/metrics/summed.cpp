#include "sim/metrics/summed.hpp"

#include "sim/engine/row.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace podsim {
namespace {

// How often an operation of a row of `size` occurs in a record of several.
std::int32_t occurrences(const TraceRecord& record, std::int32_t operation, std::size_t size)
{
  const auto row  = static_cast<std::int32_t>(size);
  const auto upto = [&](std::int32_t places) { return places / row + (places % row > operation ? 1 : 0); };
  return upto(record.operation + record.operations) - upto(record.operation);
}

class Summing {
public:
  Summing(const Trace& trace, const ShardedProgram& program, const TimedProgram& timed, const Machine& machine)
      : trace_(trace), program_(program), timed_(timed), machine_(machine)
  {
    for (const std::size_t stage : trace.stages) {
      ClassTally& own = tally_.classes.emplace_back();
      for (const DeviceBlock& block : program.program_of(stage).blocks)
        own.operations.emplace_back(block.operations.size());
      spans_.emplace_back(program.stages[stage].steps.size());
      rows_.emplace_back(own.operations.size());
    }
  }

  Tally sum()
  {
    each_record(trace_, [&](const TraceRecord& record) { add(record); });
    for (std::size_t c = 0; c < spans_.size(); ++c)
      for (std::size_t step = 0; step < spans_[c].size(); ++step)
        if (spans_[c][step].second > Seconds(0))
          add_layers(program_.stages[trace_.stages[c]], step, spans_[c][step]);
    return std::move(tally_);
  }

private:
  using Span = std::pair<Seconds, Seconds>;

  const DeviceBlock& block_of(const Stage& stage, std::size_t step) const
  {
    return program_.programs[stage.program].blocks[static_cast<std::size_t>(stage.steps[step].block)];
  }

  void add(const TraceRecord& record)
  {
    ClassTally& own              = tally_.classes[static_cast<std::size_t>(record.device_class)];
    const Stage& stage           = program_.stages[trace_.stages[static_cast<std::size_t>(record.device_class)]];
    const auto step              = static_cast<std::size_t>(record.step);
    const DeviceOperation& first = block_of(stage, step).operations[static_cast<std::size_t>(record.operation)];
    if (first.asynchronous) {
      if (record.end > own.last_beside)
        own.beside = 0;
      own.beside      = std::max(own.beside, first.collective.axes); // of those that end together any one, but the same
      own.last_beside = record.end;                                  // records stand in the order in which they ended
      return;
    }
    if (record.start > record.ready)
      own.waits[record.waited_for].add(record.start - record.ready);
    own.last                = record.end;
    std::vector<Spent>& row = own.operations[static_cast<std::size_t>(stage.steps[step].block)];
    if (record.operations == 1)
      row[static_cast<std::size_t>(record.operation)].time.add(record.end - record.start);
    else if (of_whole_rows(record, block_of(stage, step)))
      add_rows(record, stage, own);
    else
      for (std::size_t o = 0; o < row.size(); ++o)
        row[o].times += occurrences(record, static_cast<std::int32_t>(o), row.size());
    Span& span = spans_[static_cast<std::size_t>(record.device_class)][step];
    span       = span.second > Seconds(0) ? Span{std::min(span.first, record.start), std::max(span.second, record.end)}
                                          : Span{record.start, record.end};
  }

  void add_rows(const TraceRecord& record, const Stage& stage, ClassTally& own)
  {
    const auto c                 = static_cast<std::size_t>(record.device_class);
    const auto b                 = static_cast<std::size_t>(stage.steps[static_cast<std::size_t>(record.step)].block);
    const DeviceBlock& block     = program_.programs[stage.program].blocks[b];
    const std::int64_t rows      = record.operations / static_cast<std::int32_t>(block.operations.size());
    std::optional<RowAlone>& row = rows_[c][b];
    if (!row) {
      const Speed speed = machine_.overrides.device(trace_.classes[c].representative);
      row               = row_alone(block, timed_.durations(stage.program, speed)[b]);
    }
    for (std::size_t o = 0; o < block.operations.size(); ++o)
      if (!block.operations[o].asynchronous) {
        own.operations[b][o].times += rows;
        if (const RowAlone::Place& place = row->operations[o]; place.wait() > 0)
          own.waits[place.waited_for].add_ticks(place.wait() * rows);
      }
  }

  void add_layers(const Stage& stage, std::size_t step, const Span& span)
  {
    const DeviceBlock& block = block_of(stage, step);
    const bool transfer      = block.operations.front().kind == DeviceOperation::Kind::send ||
                          block.operations.front().kind == DeviceOperation::Kind::receive;
    if (transfer || (block.role != BlockRole::layers && block.role != BlockRole::layers_backward))
      return;
    LayerTime& layers = block.role == BlockRole::layers ? tally_.forward : tally_.backward;
    layers.sum += span.second - span.first;
    layers.iterations += stage.steps[step].count;
  }

  const Trace& trace_;
  const ShardedProgram& program_;
  const TimedProgram& timed_;
  const Machine& machine_;
  Tally tally_;
  std::vector<std::vector<std::optional<RowAlone>>> rows_; // of each class and block, as they come to be needed
  std::vector<std::vector<Span>> spans_;                   // of each class and step: its first start, its last end
};

} // namespace

Tally summed(const Trace& trace, const ShardedProgram& program, const TimedProgram& timed, const Machine& machine)
{
  return Summing(trace, program, timed, machine).sum();
}

} // namespace podsim
