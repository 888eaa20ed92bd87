#pragma once
// What is slow or dead on a scenario's machine:
//   chips   {"at": {"pod": 0, "x": 3, "y": 4, "z": 5}, "compute": 0.8, "hbm": 0.9}
//           of the catalogue's speed
//   links   {"at": ..., "axis": "x", "bandwidth": 0.5}, or "dead": true
//           the cable up the axis from there; one direction of it with "direction": "up" or "down"
//   hosts   {"at": ..., "nic": 0.5}
//           the host of that chip
//   pods    {"pod": 1, "compute": 0.95}
//           all chips of a pod (or GPU "node")
//   random  {"seed": 7, "chips": {"rate": 0.001, "compute": 0.8}, "links": ..., "hosts": ...}
//           each with that probability
//   jitter  {"seed": 7, "scale": 0.01}
//           each chip's clock is 1 + scale X times slower, X exponential with mean 1, so that the slowest
//           of n is slower by scale (1 + 1/2 + ... + 1/n) on average
// `at` may also be a device's number. A dead link makes its ring the open line that is left; with "dead_links": "spare
// cube" the slice is re-formed instead, by the optical switches, with another cube of the pod in place of the one
// that holds the link.

#include "sim/core/reader.hpp"
#include "topologies/machine.hpp"

#include <optional>
#include <string>
#include <vector>

namespace podsim {

struct Fault {
  std::string name; // for a report: "chip pod 0, x 3, y 4, z 5", or the scenario's own
  Overrides effect;
};

// Throws InputError, and CannotRun for a dead link that nothing leads around or no spare cube replaces.
std::vector<Fault> read_faults(Reader faults, const Machine& machine, const Placement& placement,
                               std::optional<std::size_t> pipeline);

} // namespace podsim
