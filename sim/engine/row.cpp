#include "sim/engine/row.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace podsim {

RowAlone row_alone(const DeviceBlock& block, const std::vector<Ticks>& durations)
{
  const std::size_t size         = block.operations.size();
  const std::vector<bool> waited = awaited(block);
  RowAlone row;
  row.operations.resize(size);
  std::map<AxisMask, Ticks> queue_free;
  std::optional<Ticks> first;
  Ticks now = 0;
  for (std::size_t o = 0; o < size; ++o) {
    const DeviceOperation& operation = block.operations[o];
    RowAlone::Place& own             = row.operations[o];
    own.ready = own.start = now;
    for (const int need : operation.needs)
      own.start = std::max(own.start, row.operations[static_cast<std::size_t>(need)].end);
    if (operation.asynchronous) {
      row.whole   = row.whole && waited[o] && !operation.needs.empty();
      Ticks& free = queue_free[operation.collective.axes];
      own.start   = std::max(free, own.start);
      free = own.end = own.start + durations[o];
      continue;
    }
    if (own.wait() > 0)
      for (const int need : operation.needs)
        if (const auto n = static_cast<std::size_t>(need);
            block.operations[n].asynchronous && row.operations[n].end == own.start)
          own.waited_for = std::max(own.waited_for, block.operations[n].collective.axes);
    first   = first.value_or(own.start);
    own.end = now = own.start + durations[o];
  }
  row.time  = now;
  row.first = first.value_or(0);
  row.whole = row.whole && (first || size == 0);
  return row;
}

bool of_whole_rows(const TraceRecord& record, const DeviceBlock& block)
{
  return record.operations > 1 &&
         std::any_of(block.operations.begin(), block.operations.end(),
                     [](const auto& one) { return one.asynchronous; }) &&
         record.operations % static_cast<std::int32_t>(block.operations.size()) == 0;
}

std::vector<TraceRecord> split(const TraceRecord& record, const DeviceProgram& program, const Stage& stage,
                               const std::vector<std::vector<Ticks>>& durations)
{
  if (record.operations == 1)
    return {record};
  std::vector<TraceRecord> all;
  const auto index         = static_cast<std::size_t>(stage.steps[static_cast<std::size_t>(record.step)].block);
  const DeviceBlock& block = program.blocks[index];
  const auto size          = static_cast<std::int32_t>(block.operations.size());
  const bool whole         = of_whole_rows(record, block);
  const RowAlone row       = whole ? row_alone(block, durations[index]) : RowAlone{};
  TraceRecord one          = record;
  one.operations           = 1;
  double at                = record.start.value() * ticks_per_second;
  for (std::int32_t i = 0; i < record.operations; ++i) {
    const std::int32_t place = record.operation + i;
    one.iteration            = record.iteration + place / size;
    one.operation            = place % size;
    if (whole) {
      const RowAlone::Place& own = row.operations[static_cast<std::size_t>(one.operation)];
      one.start                  = to_seconds(at + static_cast<double>(own.start));
      one.end                    = to_seconds(at + static_cast<double>(own.end));
      if (i > 0) {
        one.ready      = to_seconds(at + static_cast<double>(own.ready));
        one.waited_for = own.waited_for;
      }
      at += one.operation + 1 == size ? static_cast<double>(row.time) : 0;
    } else {
      one.start = to_seconds(at);
      at += static_cast<double>(durations[index][static_cast<std::size_t>(one.operation)]);
      one.end = to_seconds(at);
      if (i > 0) {
        one.ready      = one.start;
        one.waited_for = 0;
      }
    }
    all.push_back(one);
  }
  return all;
}

} // namespace podsim
