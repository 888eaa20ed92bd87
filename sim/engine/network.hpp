#pragma once
// The network as classes of devices see it: a link of its own for each class, torus axis and direction, a NIC for
// each kind of host, and who hears what a class sends.

#include "sim/collectives/phase.hpp"
#include "sim/engine/clock/clock.hpp"
#include "sim/engine/equivalence.hpp"

#include <array>
#include <map>
#include <vector>

namespace podsim {

class Network {
public:
  Network(Clock& clock, const Machine& machine, const Placement& placement, const DeviceClasses& partition);

  // A factor of the placement, as the other functions name it.
  int line_of(const AxisFactor& factor) const;

  // Sends a chunk of `size` ticks; direction 0 is towards higher coordinates (or the next pod), 1 is back. A slow link
  // takes longer. The token comes back `transfers(line, c)` times: the devices of a host that are of one class send
  // together.
  void send(int line, int device_class, int direction, Ticks size, Token token);
  std::int64_t transfers(int line, int device_class) const;

  // What a class's transmissions over a line may meet those of others on, as numbers: its own port, or the NICs of its
  // host and of the receiver's.
  std::vector<int> shared_links(int line, int device_class, int direction) const;

  // The classes that receive what this one sends.
  const std::vector<int>& receivers(int line, int device_class, int direction) const;
  RingPlace place(const Phase& phase, int line, int device_class) const;
  const Groups& rings(int line) const; // which classes share a ring, and so a start

  // The slowest of the rings of these classes.
  LineState slowest(int line, const std::vector<int>& classes) const;

  // Of a class's own link, or its host's NIC; of the catalogue's.
  double speed(int line, int device_class, int direction) const;

private:
  using Ports = std::array<std::vector<Port>, 2>; // by direction, of each class
  struct Line {                                   // what a factor makes of its axis
    AxisFactor factor;
    Groups rings;
    std::array<std::vector<std::vector<int>>, 2> receivers; // by direction, of each class
    std::array<std::vector<int>, 2> to;                     // the class next to it, -1 past an open end
    std::vector<std::int64_t> position;
    std::vector<RingCondition> condition;
    std::array<std::vector<double>, 2> speed; // of the link out
    Ports out;                                // on the DCN: where the line's messages leave each class
  };
  struct Nics {
    std::vector<std::vector<Link>> out; // of each class: its bus and its host's NIC, as its messages pass them
    std::vector<Port> in;
    std::vector<std::int64_t> copies; // devices of the class in the representative's host
    std::vector<int> host;            // of each class, among hosts that differ
  };

  void add_line(const AxisFactor& factor);
  Ports make_ports(std::size_t axis);
  Ports make_dcn_ports();
  Nics make_nics();
  const Line& line(int index) const { return lines_[static_cast<std::size_t>(index)]; }

  Clock& clock_;
  const Machine& machine_;
  const DeviceClasses& partition_;
  std::map<std::size_t, Ports> ports_; // by local or ICI axis
  std::vector<Line> lines_;
  Nics nics_;
};

} // namespace podsim
