// Geometry of a lattice, on one small enough to number by hand: 2 cores, a ring of 4, an open line of 3, 2 pods.

#include "topologies/lattice.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

namespace {

using Devices = std::vector<std::int64_t>;

const Lattice lattice{{{"core", AxisKind::local, 2, true},
                       {"x", AxisKind::ici, 4, true},
                       {"y", AxisKind::ici, 3, false},
                       {"dcn", AxisKind::dcn, 2, true}}};

constexpr AxisFactor cores{0, 2, 1, true};
constexpr AxisFactor ring{1, 4, 1, true};
constexpr AxisFactor open_line{2, 3, 1, false};
constexpr AxisFactor half{1, 2, 1, false};   // two in a row
constexpr AxisFactor strided{1, 2, 2, true}; // every second

// The device with these coordinates.
constexpr std::int64_t at(std::int64_t core, std::int64_t x, std::int64_t y, std::int64_t pod)
{
  return core + 2 * (x + 4 * (y + 3 * pod));
}

} // namespace

TEST_CASE("a device is its coordinates, the first axis varying fastest")
{
  CHECK(lattice.devices() == 48);
  CHECK(lattice.coordinate(at(1, 3, 2, 1), 1) == 3);
  CHECK(lattice.moved(at(1, 3, 2, 1), 2, 0) == at(1, 3, 0, 1));
  CHECK(position(strided, at(0, 3, 0, 0), lattice) == 1);
  CHECK(position(AxisPlacement{cores, ring}, at(1, 2, 0, 0), lattice) == 1 + 2 * 2);
}

TEST_CASE("neighbours: round a ring, to the end of an open line, and on with the next factor")
{
  CHECK(next_on_line(ring, at(0, 3, 1, 0), 1, lattice) == at(0, 0, 1, 0));
  CHECK(next_on_line(open_line, at(0, 3, 2, 0), 1, lattice) == -1);
  CHECK(next_on_line(open_line, at(0, 3, 2, 0), -1, lattice) == at(0, 3, 1, 0));
  CHECK(next_on_line(half, at(0, 1, 0, 0), 1, lattice) == -1);
  CHECK(next_on_line(strided, at(0, 0, 0, 0), 1, lattice) == at(0, 1, 0, 0)); // who relays
  const AxisPlacement both{cores, ring};
  CHECK(neighbour(both, at(0, 1, 0, 0), 1, lattice) == at(1, 1, 0, 0));
  CHECK(neighbour(both, at(1, 1, 0, 0), 1, lattice) == at(0, 2, 0, 0));
  CHECK(neighbour(both, at(1, 3, 0, 0), 1, lattice) == at(0, 0, 0, 0));
}

TEST_CASE("members: the devices of factors through one, and all that relay for them")
{
  CHECK(members({cores}, at(1, 1, 0, 0), lattice) == Devices{at(0, 1, 0, 0), at(1, 1, 0, 0)});
  CHECK(members({half}, at(0, 3, 0, 0), lattice) == Devices{at(0, 2, 0, 0), at(0, 3, 0, 0)});
  CHECK(members({strided}, at(0, 3, 0, 0), lattice).size() == 4);
  CHECK(members({cores, open_line}, at(0, 3, 1, 1), lattice).size() == 6);
  CHECK(first_member({cores, open_line}, at(1, 3, 1, 1), lattice) == at(0, 3, 0, 1));
}

TEST_CASE("parts of an axis together name each of its places once")
{
  CHECK(!overlapping({{half}, {strided}}, 1));
  const auto wrong = overlapping({{half}, {half}}, 1);
  REQUIRE(wrong);
  CHECK(wrong->factor == half);
  CHECK(wrong->needs == 2);
  CHECK(is_closed({{cores, ring}, {strided}}));
  CHECK(!is_closed({{cores}, {open_line}}));
}
