#pragma once
// A trace, summed up. What a row waits for by itself is not in the trace where rows ran as wholes (sim/engine/row.hpp).

#include "sim/engine/tally.hpp"
#include "sim/engine/timed_program.hpp"
#include "sim/engine/trace.hpp"

namespace podsim {

Tally summed(const Trace& trace, const ShardedProgram& program, const TimedProgram& timed, const Machine& machine);

} // namespace podsim
