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
  // The token comes back `transfers(factor, c)` times: the devices of a host that are of one class send together.
  void send(const AxisFactor& factor, int device_class, int direction, Ticks size, Token token);
  std::int64_t transfers(const AxisFactor& factor, int device_class) const;

  // The classes that receive what this one sends.
  const std::vector<int>& receivers(const AxisFactor& factor, int device_class, int direction) const;
  std::int64_t position(const AxisFactor& factor, int device_class) const;
  const Groups& rings(const AxisFactor& factor) const; // which classes share a ring, and so a start

private:
  using Ports = std::array<std::vector<Port>, 2>; // by direction, of each class
  struct Line {                                   // what a factor makes of its axis
    AxisFactor factor;
    Groups rings;
    std::array<std::vector<std::vector<int>>, 2> receivers; // by direction, of each class
    std::array<std::vector<int>, 2> to;                     // the class next to it, -1 past an open end
    std::vector<std::int64_t> position;
  };
  struct Nics {
    std::vector<Port> ports;          // of each class
    std::vector<std::int64_t> copies; // devices of the class in the representative's host
  };

  void add_line(const AxisFactor& factor);
  Ports make_ports(std::size_t axis);
  Nics make_nics();
  const Line& line(const AxisFactor& factor) const;

  SimgridEngine& engine_;
  const Machine& machine_;
  const DeviceClasses& partition_;
  std::map<std::size_t, Ports> ports_; // by local or ICI axis
  std::vector<Line> lines_;
  Nics nics_;
};

} // namespace podsim
