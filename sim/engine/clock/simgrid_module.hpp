#pragma once
// The only door to SimGrid, which is in a module of its own and loaded when it is first asked for: most commands never
// do, and its thirty libraries take longer to load than most of them run.
//
// One clock a process, which SimGrid does not check: whoever simulates more than once does so in children
// (sim/jobs/engines.hpp).

#include "sim/engine/clock/clock.hpp"

#include <memory>
#include <string>

namespace podsim {

// What the module exports, as podsim_simgrid_module.
struct SimgridModule {
  void (*start)();
  Clock* (*make_clock)();
};

// Throw OutOfResources where the module cannot be loaded.
std::unique_ptr<Clock> simgrid_clock();

// SimGrid's own start, which a simulation makes if nobody has: a process that forks others to simulate starts it once
// for all of them.
void start_simgrid();

std::string simgrid_version(); // that podsim was built with

} // namespace podsim
