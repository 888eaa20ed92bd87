// All-to-alls on lattices, against loads derived by hand and an explicit graph.

#include "topologies/routing.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>
#include <random>
#include <tuple>

using namespace podsim;

namespace {

RoutedLattice torus(std::vector<std::int64_t> shape)
{
  const std::size_t axes = shape.size();
  return {std::move(shape), std::vector<bool>(axes, true), {}};
}

RoutedLattice mesh(std::vector<std::int64_t> shape)
{
  const std::size_t axes = shape.size();
  return {std::move(shape), std::vector<bool>(axes, false), {}};
}

RoutedLattice twisted(std::vector<std::int64_t> shape)
{
  RoutedLattice lattice = torus(std::move(shape));
  lattice.twist         = symmetric_twist(lattice.shape);
  return lattice;
}

AllToAllLoad among_all(const RoutedLattice& lattice)
{
  return all_to_all_load(lattice, all_chips(lattice));
}

// The same by another way: the graph chip by chip, from each source a breadth-first search that counts shortest paths,
// and each block spread evenly over all of them, whatever the order of their hops.
struct Spread {
  double busiest         = 0;
  double total           = 0;
  std::int64_t pair_hops = 0;
  std::int64_t longest   = 0;
};

struct Link {
  std::size_t from, to;
};

std::vector<Link> links(const RoutedLattice& lattice)
{
  const std::size_t axes = lattice.shape.size();
  std::vector<Link> all;
  for (std::int64_t chip = 0; chip < lattice.chips(); ++chip)
    for (std::size_t axis = 0; axis < axes; ++axis) {
      std::vector<std::int64_t> at;
      for (std::int64_t rest = chip; at.size() < axes; rest /= lattice.shape[at.size() - 1])
        at.push_back(rest % lattice.shape[at.size()]);
      if (++at[axis] == lattice.shape[axis]) {
        if (!lattice.closed[axis] || lattice.shape[axis] == 1)
          continue;
        at[axis] = 0;
        for (const WrapShift& shift : lattice.twist)
          if (shift.axis == axis)
            at[shift.shifted] = (at[shift.shifted] + shift.by) % lattice.shape[shift.shifted];
      }
      std::int64_t neighbour = 0;
      for (std::size_t i = axes; i-- > 0;)
        neighbour = neighbour * lattice.shape[i] + at[i];
      all.push_back({static_cast<std::size_t>(chip), static_cast<std::size_t>(neighbour)});
      all.push_back({static_cast<std::size_t>(neighbour), static_cast<std::size_t>(chip)});
    }
  return all;
}

// `together(a, b)`: whether two chips are in one group.
template <class Together> Spread spread(const RoutedLattice& lattice, Together together)
{
  const auto chips = static_cast<std::size_t>(lattice.chips());
  const auto edges = links(lattice);
  std::vector<std::vector<std::size_t>> out(chips);
  for (std::size_t edge = 0; edge < edges.size(); ++edge)
    out[edges[edge].from].push_back(edge);
  std::vector<double> loads(edges.size());
  Spread result;
  for (std::size_t source = 0; source < chips; ++source) {
    std::vector<std::int64_t> distance(chips, -1);
    std::vector<double> paths(chips);
    std::vector<double> through(chips);
    std::vector<std::size_t> order{source};
    distance[source] = 0;
    paths[source]    = 1;
    for (std::size_t next = 0; next < order.size(); ++next)
      for (const std::size_t edge : out[order[next]]) {
        const std::size_t to = edges[edge].to;
        if (distance[to] < 0) {
          distance[to] = distance[order[next]] + 1;
          order.push_back(to);
        }
        if (distance[to] == distance[order[next]] + 1)
          paths[to] += paths[order[next]];
      }
    for (std::size_t next = order.size(); next-- > 0;) {
      const std::size_t here = order[next];
      if (here != source && together(source, here)) {
        through[here] += 1;
        result.pair_hops += distance[here];
        result.longest = std::max(result.longest, distance[here]);
      }
      for (const std::size_t edge : out[here])
        if (const std::size_t to = edges[edge].to; distance[to] == distance[here] + 1) {
          const double blocks = through[to] * paths[here] / paths[to];
          loads[edge] += blocks;
          through[here] += blocks;
        }
    }
  }
  result.busiest = *std::max_element(loads.begin(), loads.end());
  result.total   = std::accumulate(loads.begin(), loads.end(), 0.0);
  return result;
}

Spread spread(const RoutedLattice& lattice)
{
  return spread(lattice, [](std::size_t, std::size_t) { return true; });
}

// The busiest link where each pair of chips of a 3D lattice has one way of its own, as in a routing table: x, then y,
// then z, by a displacement drawn from the equally short ones.
std::int64_t busiest_of_table(const RoutedLattice& lattice, std::mt19937& random)
{
  using Point       = std::array<std::int64_t, 3>;
  const auto& shape = lattice.shape;
  const auto index  = [&](Point at) { // shifting axes are x and y in these tests, shifted ones come after them
    for (std::size_t axis = 0; axis < 3; ++axis) {
       while (at[axis] < 0 || at[axis] >= shape[axis]) {
         const std::int64_t wrap = at[axis] < 0 ? -1 : 1;
         at[axis] -= wrap * shape[axis];
         for (const WrapShift& shift : lattice.twist)
          if (shift.axis == axis)
            at[shift.shifted] += wrap * shift.by;
      }
    }
    return static_cast<std::size_t>(at[0] + shape[0] * (at[1] + shape[1] * at[2]));
  };
  const auto length = [](const Point& way) { return std::abs(way[0]) + std::abs(way[1]) + std::abs(way[2]); };
  std::vector<std::vector<Point>> ways(static_cast<std::size_t>(lattice.chips()));
  for (std::int64_t x = -shape[0]; x <= shape[0]; ++x)
    for (std::int64_t y = -shape[1]; y <= shape[1]; ++y)
      for (std::int64_t z = -shape[2]; z <= shape[2]; ++z) {
        auto& known = ways[index({x, y, z})];
        if (!known.empty() && length({x, y, z}) < length(known.front()))
          known.clear();
        if (known.empty() || length({x, y, z}) == length(known.front()))
          known.push_back({x, y, z});
      }
  std::vector<std::int64_t> loads(ways.size() * 6);
  for (std::int64_t x = 0; x < shape[0]; ++x)
    for (std::int64_t y = 0; y < shape[1]; ++y)
      for (std::int64_t z = 0; z < shape[2]; ++z)
        for (const auto& choice : ways) {
          const Point way = choice[random() % choice.size()];
          Point at{x, y, z};
          for (std::size_t axis = 0; axis < 3; ++axis)
            for (std::int64_t left = std::abs(way[axis]); left > 0; --left) {
              ++loads[index(at) * 6 + axis * 2 + (way[axis] < 0 ? 1 : 0)];
              at[axis] += way[axis] < 0 ? -1 : 1;
            }
        }
  return *std::max_element(loads.begin(), loads.end());
}

} // namespace

TEST_CASE("an all-to-all on a ring: n^2/8 blocks a link, (n^2-1)/8 for an odd n")
{
  // From each chip 1 + 2 + ... + (n/2 - 1) hops each way and half of n/2 to the chip opposite: n^2/8 a link and
  // direction.
  CHECK(among_all(torus({8})).busiest_link == 8);
  CHECK(among_all(torus({16})).busiest_link == 32);
  CHECK(among_all(torus({5})).busiest_link == 3);
  CHECK(among_all(torus({2})).busiest_link == 0.5); // two links to the other chip
  CHECK(among_all(torus({8})).mean_hops == Approx(2 * 8.0 / 7));
  CHECK(among_all(torus({8})).longest_hops == 4);
  // Half of the ring sends to the other half, (n/2)^2 blocks over two links: no routing does better.
  CHECK(among_all(torus({8})).cut_utilisation() == 1);
}

TEST_CASE("an all-to-all on an open line: the middle link carries n^2/4 blocks")
{
  CHECK(among_all(mesh({4})).busiest_link == 4);
  CHECK(among_all(mesh({9})).busiest_link == 20); // 4 x 5
  CHECK(among_all(mesh({4})).longest_hops == 3);
  CHECK(among_all(mesh({4})).cut_utilisation() == 1);
  CHECK(among_all(mesh({4})).mean_link == Approx((3 + 4 + 3) / 3.0));
}

TEST_CASE("an all-to-all over several axes at once is bound by the longest axis")
{
  // On a k x k torus each line of k sees each of its pairs k times: k x k^2/8.
  CHECK(among_all(torus({4, 4})).busiest_link == 8);
  CHECK(among_all(torus({8, 8})).busiest_link == 64);
  CHECK(among_all(torus({4, 4, 8})).busiest_link == 4 * 4 * 8);
  CHECK(among_all(torus({4, 8, 8})).busiest_link == 4 * 8 * 8);
  CHECK(among_all(torus({4, 4, 8})).longest_hops == 2 + 2 + 4);
  // Mean load over six links: (4 + 4 + 8)/4 hops along the axes on average from each of 128, over six directions.
  CHECK(among_all(torus({4, 4, 8})).mean_link == Approx(128 * 4.0 / 6));
  // Open, the cut between the halves of each line of four.
  CHECK(among_all(mesh({4, 4, 4})).busiest_link == 4 * 4 * 4);
  CHECK(among_all(mesh({2, 2, 1})).busiest_link == 2);
  for (const auto& lattice : {torus({4, 4, 8}), torus({4, 8, 8}), torus({5, 3}), mesh({4, 4, 4}), mesh({3, 5, 2})})
    CHECK(among_all(lattice).cut_utilisation() == Approx(1));
}

TEST_CASE("the loads of all links are the hops of all pairs")
{
  RoutedLattice half_open = torus({4, 3, 2});
  half_open.closed[0]     = false;
  for (const RoutedLattice& lattice : {torus({7}), torus({4, 4}), torus({2, 3, 4}), mesh({5}), mesh({3, 4, 2}),
                                       half_open, twisted({2, 2, 4}), twisted({4, 2, 4}), twisted({4, 4, 8})}) {
    const AllToAllLoad load = among_all(lattice);
    const Spread graph      = spread(lattice);
    CHECK(load.total_hops == Approx(static_cast<double>(graph.pair_hops)));
    CHECK(load.total_hops == Approx(graph.total));
    CHECK(load.longest_hops == graph.longest);
    CHECK(load.busiest_link >= load.cut_bound * (1 - 1e-12));
    CHECK(load.busiest_link >= load.mean_link * (1 - 1e-12));
    // Where all chips look alike, the order of the hops makes no difference.
    if (std::find(lattice.closed.begin(), lattice.closed.end(), false) == lattice.closed.end())
      CHECK(load.busiest_link == Approx(graph.busiest));
    else
      CHECK(load.busiest_link <= graph.busiest * (1 + 1e-12));
  }
  // Hops in any order meet in the middle of an open machine.
  CHECK(spread(mesh({4, 4, 4})).busiest / among_all(mesh({4, 4, 4})).busiest_link == Approx(1.49).margin(0.01));
}

TEST_CASE("groups on parts of axes")
{
  // On one whole axis: each line by itself.
  CHECK(all_to_all_load(torus({4, 8}), {{0, 4}}).busiest_link == 2);
  CHECK(all_to_all_load(torus({4, 8}), {{1, 8}}).busiest_link == 8);
  CHECK(all_to_all_load(torus({4, 8}), {{1, 8}}).mean_link == 4); // the links of the other axis are idle
  // On neighbours within a ring: an open line of four each.
  CHECK(all_to_all_load(torus({16}), {{0, 4}}).busiest_link == 4);
  CHECK(all_to_all_load(torus({16}), {{0, 4}}).longest_hops == 3);
  // Every fourth chip of 16: four interleaved rings of 4, a step of each being four links that all four use.
  CHECK(all_to_all_load(torus({16}), {{0, 4, 4}}).busiest_link == 4 * 2);
  CHECK(all_to_all_load(torus({16}), {{0, 4, 4}}).longest_hops == 8);
  // 12 of 24 in a row: the chips of a group that are farthest apart, 11, are still nearer this way than round the ring.
  CHECK(all_to_all_load(torus({24}), {{0, 12}}).busiest_link == 36);
  // Two parts of an axis make a whole one.
  CHECK(all_to_all_load(torus({16}), {{0, 4}, {0, 4, 4}}).busiest_link == 32);
  // One chip a group sends nothing.
  CHECK(all_to_all_load(torus({16}), {}).busiest_link == 0);
  CHECK(all_to_all_load(torus({16}), {}).cut_utilisation() == 0);
  for (const auto& [lattice, group, block] :
       {std::tuple{torus({12}), LatticeGroup{{0, 4}}, 4}, std::tuple{mesh({12}), LatticeGroup{{0, 6}}, 6}}) {
    const AllToAllLoad load = all_to_all_load(lattice, group);
    const auto size         = static_cast<std::size_t>(block);
    const Spread graph      = spread(lattice, [&](std::size_t a, std::size_t b) { return a / size == b / size; });
    CHECK(load.total_hops == Approx(static_cast<double>(graph.pair_hops)));
    CHECK(load.busiest_link == Approx(graph.busiest));
    CHECK(load.cut_utilisation() == Approx(1));
  }
}

TEST_CASE("the symmetric twist is the best of all offsets")
{
  CHECK(symmetric_twist({4, 4, 8}) == std::vector<WrapShift>{{0, 2, 4}, {1, 2, 4}});
  CHECK(symmetric_twist({4, 8, 8}) == std::vector<WrapShift>{{0, 1, 4}, {0, 2, 4}});
  CHECK(symmetric_twist({8, 4, 8}) == std::vector<WrapShift>{{1, 0, 4}, {1, 2, 4}});
  CHECK(symmetric_twist({4, 4, 4}).empty());
  CHECK(symmetric_twist({4, 4, 16}).empty());
  CHECK(symmetric_twist({4, 8, 16}).empty());
  CHECK(symmetric_twist({4, 8}).empty());

  const auto best = [](const std::vector<std::int64_t>& shape, std::size_t a, std::size_t to_a, std::size_t b,
                       std::size_t to_b, std::int64_t limit_a, std::int64_t limit_b) {
    double least = 1e300;
    for (std::int64_t i = 0; i <= limit_a; ++i)
      for (std::int64_t j = 0; j <= limit_b; ++j) {
        RoutedLattice lattice = torus(shape);
        lattice.twist         = {{a, to_a, i}, {b, to_b, j}};
        least                 = std::min(least, among_all(lattice).busiest_link);
      }
    return least;
  };
  // Both short wraps over the long axis; one over the other axes; the long one over the short axes. (Offsets of 3 and
  // 3 have shorter ways, 72.5 blocks a link on average, but load their axes unevenly: 74.)
  const double fcc = among_all(twisted({4, 4, 8})).busiest_link;
  CHECK(best({4, 4, 8}, 0, 2, 1, 2, 4, 4) == Approx(fcc));
  CHECK(best({4, 4, 8}, 0, 1, 0, 2, 2, 4) > fcc);
  CHECK(best({4, 4, 8}, 2, 0, 2, 1, 2, 2) > fcc);
  const double bcc = among_all(twisted({4, 8, 8})).busiest_link;
  CHECK(best({4, 8, 8}, 0, 1, 0, 2, 4, 4) == Approx(bcc));
  CHECK(best({4, 8, 8}, 0, 2, 1, 2, 4, 4) > bcc);
  CHECK(best({4, 8, 8}, 1, 0, 1, 2, 2, 4) > bcc);
}

TEST_CASE("a twisted torus loads all its links alike, and gains 7% more than was measured")
{
  for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{4, 4, 8}, {4, 8, 8}, {8, 16, 16}}) {
    const AllToAllLoad load = among_all(twisted(shape));
    CHECK(load.busiest_link == Approx(load.mean_link));
    CHECK(load.cut_utilisation() < 1); // what binds is the length of the ways, not a cut
  }
  CHECK(among_all(twisted({4, 4, 8})).busiest_link == Approx(220.0 / 3));
  CHECK(among_all(twisted({4, 8, 8})).busiest_link == Approx(184));
  // Camarero et al.: the mean distance of FCC(a) tends to 7a/8, of BCC(a) to 35a/32.
  CHECK(among_all(twisted({12, 12, 24})).mean_hops == Approx(12 * 7 / 8.0).epsilon(0.01));
  CHECK(among_all(twisted({8, 16, 16})).mean_hops == Approx(8 * 35 / 32.0).epsilon(0.01));
  // The cut across the long axis crosses 96 links one way instead of 32; the one across a short axis 64 as before, and
  // it is now the tightest: 64 x 64 blocks over 64 links.
  CHECK(among_all(twisted({4, 4, 8})).cut_bound == Approx(64));

  // Measured (Jouppi et al. 2023, figure 6): 1.63 and 1.31 times the throughput of the regular torus. The loads
  // say 1.75 and 1.39, 7 and 6% more; the next test shows where most of that may have gone.
  const auto gain = [](const std::vector<std::int64_t>& shape) {
    return among_all(torus(shape)).busiest_link / among_all(twisted(shape)).busiest_link;
  };
  CHECK(gain({4, 4, 8}) == Approx(1.745).epsilon(1e-3));
  CHECK(gain({4, 4, 8}) == Approx(1.63).epsilon(0.10));
  CHECK(gain({4, 8, 8}) == Approx(1.391).epsilon(1e-3));
  CHECK(gain({4, 8, 8}) == Approx(1.31).epsilon(0.10));
  // The order of the axes is a name only.
  CHECK(gain({8, 4, 4}) == Approx(gain({4, 4, 8})));
  CHECK(gain({8, 4, 8}) == Approx(gain({4, 8, 8})));
}

TEST_CASE("one way for each pair instead of split ties accounts for the rest of the twisted gain")
{
  // A quarter to a half of all chips can be reached by several equally short displacements. A routing table has one way
  // for each pair: if it draws among them, some links carry more than their part, and on a twisted torus, where all
  // links are full to begin with, more so (17 and 11% more) than on a regular one (8 and 7%). The gains become
  // 1.60 and 1.35 (published: 1.63 and 1.31). How TPU v4's tables break ties is not published: this is an
  // explanation, and enters no prediction.
  std::mt19937 random(1); // the same numbers everywhere
  const auto gain = [&](const std::vector<std::int64_t>& shape) {
    double sum            = 0;
    constexpr int samples = 4;
    for (int sample = 0; sample < samples; ++sample) {
      const auto regular = static_cast<double>(busiest_of_table(torus(shape), random));
      sum += regular / static_cast<double>(busiest_of_table(twisted(shape), random));
    }
    return sum / samples;
  };
  CHECK(gain({4, 4, 8}) == Approx(1.60).epsilon(0.01));
  CHECK(gain({4, 8, 8}) == Approx(1.35).epsilon(0.01));
}

TEST_CASE("a group on part of a twisted torus")
{
  const RoutedLattice lattice = twisted({4, 4, 8});
  // The chip opposite on a long ring is four hops away both ways along it, and both ways along x and along y, over
  // the wraps: of its block 1/6 goes each way, so that a link of the ring carries 1 + 2 + 3 + 4/6.
  CHECK(all_to_all_load(lattice, {{2, 8}}).busiest_link == Approx(6 + 4 / 6.0));
  // A line of four along a short axis is half of a ring of eight.
  CHECK(all_to_all_load(lattice, {{0, 4}}).busiest_link == 4);
  CHECK(all_to_all_load(lattice, {{0, 4}}).longest_hops == 3);
  const AllToAllLoad layer = all_to_all_load(lattice, {{0, 4}, {2, 8}}); // y apart
  const Spread graph       = spread(lattice, [](std::size_t a, std::size_t b) { return a / 4 % 4 == b / 4 % 4; });
  CHECK(layer.total_hops == Approx(static_cast<double>(graph.pair_hops)));
  CHECK(layer.longest_hops == graph.longest);
  CHECK(layer.busiest_link >= layer.cut_bound);
  // Walked chip by chip, the whole lattice comes out as by symmetry.
  const AllToAllLoad whole = all_to_all_load(twisted({2, 2, 4}), {{0, 2}, {1, 2}, {2, 4}});
  CHECK(whole.busiest_link == Approx(spread(twisted({2, 2, 4})).busiest));
}

TEST_CASE("how long an all-to-all takes")
{
  // 8 chips of a ring, 8 MB each: blocks of 1 MB, 8 of them over the busiest link at 10 GB/s, and 4 hops.
  const Seconds time = all_to_all_time(among_all(torus({8})), Bytes(1e6), BytesPerSecond(10e9), Seconds(1e-6));
  CHECK(time.value() == Approx(8e6 / 10e9 + 4e-6));
}
