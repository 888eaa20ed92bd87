#pragma once
// What happened when, as the simulation saw it.

#include "sim/core/units.hpp"
#include "sim/engine/equivalence.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace podsim {

enum class Granularity : std::uint8_t { automatic, collective, chunk };

// One execution of one operation on the representative of a class, or of `operations` of them one after the other,
// through iterations of their block, where nothing could come in between. `ready`: the device reached it (or, if it
// is asynchronous, put it in its queue); `start`: it had all it waited for, its partners among it.
struct TraceRecord {
  std::int32_t device_class;
  std::int32_t step; // of its stage's schedule
  std::int32_t iteration;
  std::int32_t operation;
  std::int32_t operations;
  Seconds ready, start, end;
  AxisMask waited_for; // mesh axes of the asynchronous collective it waited for last, if any
};

// Of a class of devices, in a repetition: whether it is part of it, and how its records are numbered the next time.
struct Advance {
  bool repeats       = false;
  std::int32_t steps = 0, iterations = 0;
};

// What was not simulated, because the state of some classes was what it had been a period before: their records from
// `first` to before `last` come `times` more, each time `period` later.
struct Repetition {
  std::size_t first, last;
  std::int64_t times;
  Seconds period;
  std::vector<Advance> advance; // of each class
};

// How a simulation went, and of whom it tells.
struct Course {
  std::vector<DeviceClass> classes; // those with records, as records number them
  std::vector<std::size_t> stages;  // the pipeline stage of each
  Seconds end;
  std::int64_t simulated_classes = 0;
  std::int64_t activities        = 0;                           // that the clock executed
  std::int64_t repeated_layers = 0, repeated_micro_batches = 0; // of the first class, not simulated
  bool fold_stopped  = false; // the fold in time could not go on: this was simulated in full
  bool chunked       = false; // whether any collective was simulated by its chunks
  bool by_recurrence = false; // without events, see stage_recurrence.hpp
};

struct Trace : Course {
  std::vector<TraceRecord> records;    // that were simulated, those of a class in the order in which they ended
  std::vector<Repetition> repetitions; // by their ends; see each_record()
};

// Calls f(record) for all records, those that were not simulated among them: of each class in the order in which they
// ended. `only`: of one class.
template <class F> void each_record(const Trace& trace, const F& f, std::optional<std::int32_t> only = {})
{
  const auto wanted = [&](std::size_t i) { return !only || trace.records[i].device_class == *only; };
  std::size_t next  = 0;
  const auto upto   = [&](std::size_t last) {
    for (; next < last; ++next)
      if (wanted(next))
        f(trace.records[next]);
  };
  for (const Repetition& repetition : trace.repetitions) {
    upto(repetition.last);
    for (std::int64_t time = 1; time <= repetition.times; ++time) {
      const Seconds later = repetition.period * static_cast<double>(time);
      for (std::size_t i = repetition.first; i < repetition.last; ++i) {
        const Advance& by = repetition.advance[static_cast<std::size_t>(trace.records[i].device_class)];
        if (!by.repeats || !wanted(i))
          continue;
        TraceRecord record = trace.records[i];
        record.step += static_cast<std::int32_t>(time) * by.steps;
        record.iteration += static_cast<std::int32_t>(time) * by.iterations;
        record.ready += later;
        record.start += later;
        record.end += later;
        f(record);
      }
    }
  }
  upto(trace.records.size());
}

} // namespace podsim
