#pragma once
// The engines that simulate, by the names that --engine takes.
//
// SimGrid allows one engine a process, so each simulation on it runs in a forked child, which hands its trace back
// through a pipe; call it as often as you like. Besides what execute() throws, it throws Interrupted if a SIGINT or
// SIGTERM ended the child, OutOfResources where there can be none or SimGrid cannot be loaded, and std::logic_error if
// it failed.

#include "sim/engine/simulate.hpp"

#include <string>
#include <vector>

namespace podsim {

const std::vector<Engine>& engines(); // simgrid, heap
std::vector<std::string> engine_names();
SimulationOptions on_engine(const std::string& name); // one of these

} // namespace podsim
