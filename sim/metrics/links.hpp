#pragma once
// What a step puts on the links of the machine.

#include "sim/engine/simulate.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

// "ici", "nvlink", "dcn", "core": of a lattice axis.
std::string link_name(const LatticeAxis& axis);

// The mesh axes among `axes` that lie, in part at least, on links of this name.
AxisMask axes_on(const std::string& link, AxisMask axes, const Placement& placement, const Machine& machine);

// The share of a collective's time that its phases on each kind of link take.
std::vector<std::pair<std::string, double>> link_shares(const Plan& plan, const Machine& machine);

struct LinkUse {
  std::string name;     // "ici_x", "nvlink", "dcn"
  Bytes sent;           // by one device in a step
  double busy_fraction; // of the busiest link
};

// Of the stage that sends most over each.
std::vector<LinkUse> link_use(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
                              const Placement& placement, Seconds step);

// Over all all-to-alls of a step: what the tightest cut of the torus needs, over how long they take.
std::optional<double> bisection_use(const ShardedProgram& program, const TimedProgram& timed);

// What all devices send across pods in collectives, over the time that these take; of the first class.
BytesPerSecond burst(const ShardedProgram& program, const TimedProgram& timed, const Trace& trace,
                     const Machine& machine);

// Calls f(operation, timed, times) for each operation of a stage with how often the step runs it.
template <class F>
void each_operation(const ShardedProgram& program, const TimedProgram& timed, std::size_t stage, const F& f)
{
  const DeviceProgram& device = program.program_of(stage);
  std::vector<double> times(device.blocks.size());
  for (const Step& step : program.stages[stage].steps)
    times[static_cast<std::size_t>(step.block)] += step.count;
  for (std::size_t b = 0; b < device.blocks.size(); ++b)
    for (std::size_t o = 0; o < device.blocks[b].operations.size(); ++o)
      f(device.blocks[b].operations[o], timed.programs[program.stages[stage].program][b][o], times[b]);
}

} // namespace podsim
