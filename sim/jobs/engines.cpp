#include "sim/jobs/engines.hpp"

#include "sim/core/bytes.hpp"
#include "sim/core/errors.hpp"
#include "sim/engine/clock/simgrid_module.hpp"
#include "sim/jobs/child.hpp"

#include <algorithm>
#include <memory>
#include <optional>

namespace podsim {

template <> constexpr bool goes_as_it_is<TraceRecord> = true;
template <> constexpr bool goes_as_it_is<Advance>     = true;

template <class Stream> void members(Stream& stream, Member<Stream, Repetition>& repetition)
{
  auto& [first, last, times, period, advance] = repetition;
  stream(first, last, times, period, advance);
}

// What execute() says of it; the rest (whose classes these are, how the fold went) simulate() adds.
template <class Stream> void members(Stream& stream, Member<Stream, Trace>& trace)
{
  Member<Stream, Course>& course = trace;
  auto& [classes, stages, end, simulated_classes, activities, repeated_layers, repeated_micro_batches, fold_stopped,
         chunked, by_recurrence] = course;
  stream(end, simulated_classes, activities, repeated_layers, repeated_micro_batches, chunked);
  stream(trace.records, trace.repetitions);
}

namespace {

Trace execute_on_simgrid(const Replay& replay)
{
  start_simgrid(); // once for all children
  const std::string bytes = in_child([&] {
    const std::unique_ptr<Clock> clock = simgrid_clock();
    std::optional<Trace> trace;
    try {
      trace = execute(replay, *clock);
    } catch (const FoldStopped&) { // handed over as no trace
    }
    ByteWriter writer;
    writer(trace);
    return writer.bytes;
  });
  ByteReader reader(bytes);
  std::optional<Trace> trace;
  reader(trace);
  reader.finish();
  if (!trace)
    throw FoldStopped("the fold in time could not go on");
  return std::move(*trace);
}

} // namespace

const std::vector<Engine>& engines()
{
  static const std::vector<Engine> all{{"simgrid", execute_on_simgrid}, heap_engine()};
  return all;
}

std::vector<std::string> engine_names()
{
  std::vector<std::string> names;
  for (const Engine& engine : engines())
    names.push_back(engine.name);
  return names;
}

SimulationOptions on_engine(const std::string& name)
{
  SimulationOptions options;
  options.engine =
      *std::find_if(engines().begin(), engines().end(), [&](const Engine& one) { return one.name == name; });
  return options;
}

} // namespace podsim
