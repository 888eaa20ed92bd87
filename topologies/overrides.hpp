#pragma once
// What differs from the catalogue on single devices, links and hosts: factors of the catalogue's speed, 1 where nothing
// is said. A link is a device's way out along a lattice axis in one direction; a cable is two of them.

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>

namespace podsim {

// Of a device: its clock (matrix and vector units, dispatch) and its HBM.
struct Speed {
  double compute = 1, hbm = 1;
  friend bool operator==(const Speed&, const Speed&)  = default;
  friend auto operator<=>(const Speed&, const Speed&) = default;
};

struct LinkId {
  std::int64_t device;
  std::size_t axis;
  int direction; // 0: towards higher coordinates, 1: back
  friend auto operator<=>(const LinkId&, const LinkId&) = default;
};

struct Overrides {
  std::map<std::int64_t, Speed> devices;
  std::map<LinkId, double> links;       // 0: dead
  std::map<std::int64_t, double> hosts; // bandwidth of the NIC, by Machine::host_of

  bool empty() const { return devices.empty() && links.empty() && hosts.empty(); }
  Speed device(std::int64_t device) const;
  double link(const LinkId& link) const;
  double host(std::int64_t host) const;

  double slowest() const; // of all speeds but those of dead links; 1 where there are none

  // What is slow for several reasons is slow by their product.
  void add(const Overrides& more);
};

} // namespace podsim
