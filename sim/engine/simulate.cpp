#include "sim/engine/simulate.hpp"

#include "sim/engine/clock/heap_clock.hpp"

namespace podsim {

Engine heap_engine()
{
  return {"heap",
          [](const Replay& replay) {
            const std::unique_ptr<Clock> clock = heap_clock();
            return execute(replay, *clock);
          },
          true};
}

Trace simulate(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
               const Placement& placement, const DeviceClasses& classes, const SimulationOptions& options)
{
  const DeviceClasses partition = options.explicit_devices ? one_class_each(machine) : classes;
  std::vector<int> recorded; // in an explicit run, the devices that represent a class of the fold
  for (const DeviceClass& own : classes.classes)
    recorded.push_back(partition.of(own.representative));
  Replay replay{program, timed, machine, placement, partition, recorded, options.skip_repetitions, options.progress};
  Trace trace;
  try {
    trace = options.engine.execute(replay);
  } catch (const FoldStopped&) {
    replay.skip_repetitions = false;
    trace                   = options.engine.execute(replay);
    trace.fold_stopped      = true;
  }
  trace.classes = classes.classes;
  for (const DeviceClass& own : classes.classes)
    trace.stages.push_back(program.pipeline ? static_cast<std::size_t>(position(placement[*program.pipeline],
                                                                                own.representative, machine.lattice))
                                            : 0);
  return trace;
}

Seconds simulation_estimate(std::int64_t classes, const ShardedProgram& program, const TimedProgram& timed)
{
  const auto count = static_cast<double>(classes);
  return Seconds(count * activities_per_device(program, timed) * (2e-6 + 4.4e-9 * count));
}

} // namespace podsim
