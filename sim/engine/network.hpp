#pragma once
// The network as classes of devices see it: a link of its own for each class, torus axis and direction, a NIC for
// each kind of host, and who hears what a class sends.

#include "sim/engine/collective_plan.hpp"
#include "sim/engine/equivalence.hpp"
#include "sim/engine/simgrid_engine.hpp"

#include <array>
#include <map>
#include <vector>

namespace podsim {

class Network {
public:
  Network(SimgridEngine& engine, const Machine& machine, const Placement& placement, const DeviceClasses& partition);

  // Sends a chunk of `size` ticks; direction 0 is towards higher coordinates (or the next pod), 1 is back.
  // The token comes back `transfers(phase, c)` times: the chips of a host that are of one class send together.
  void send(const RingPhase& phase, int device_class, int direction, Ticks size, Token token);
  std::int64_t transfers(const RingPhase& phase, int device_class) const;

  // The classes that receive what this one sends.
  const std::vector<int>& receivers(const RingPhase& phase, int device_class, int direction) const;
  std::int64_t position(const RingPhase& phase, int device_class) const;
  const Groups& rings(const RingPhase& phase) const; // which classes share a ring, and so a start

private:
  using Ports = std::array<std::vector<Port>, 2>; // by direction, of each class
  struct Line {                                   // what a factor makes of its torus axis
    TorusFactor factor;
    Groups rings;
    std::array<std::vector<std::vector<int>>, 2> receivers; // by direction, of each class
    std::vector<std::int64_t> position;
  };
  struct Dcn {
    Groups rings;
    std::vector<Port> ports;
    std::vector<std::int64_t> copies; // devices of the class in the representative's host
    std::vector<int> to;              // class of the counterpart in the next pod
    std::vector<std::vector<int>> receivers;
  };

  Ports make_ports();
  Line make_line(const TorusFactor& factor) const;
  Dcn make_dcn();
  const Line& line(const RingPhase& phase) const;

  SimgridEngine& engine_;
  const Machine& machine_;
  const DeviceClasses& partition_;
  std::map<std::size_t, Ports> ports_; // by torus axis
  std::vector<Line> lines_;
  Dcn dcn_;
};

} // namespace podsim
