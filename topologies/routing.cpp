#include "topologies/routing.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <utility>

namespace podsim {
namespace {

// The coordinate without what the group's parts say of it; equal for chips of one group.
std::int64_t label(std::int64_t coordinate, std::size_t axis, const LatticeGroup& group)
{
  std::int64_t rest = coordinate;
  for (const GroupPart& part : group)
    if (part.axis == axis)
      rest -= coordinate / part.stride % part.length * part.stride;
  return rest;
}

std::int64_t size_on(std::size_t axis, const LatticeGroup& group)
{
  std::int64_t size = 1;
  for (const GroupPart& part : group)
    if (part.axis == axis)
      size *= part.length;
  return size;
}

// For each coordinate of the axis, those of its group, itself among them.
std::vector<std::vector<std::int64_t>> partners(const RoutedLattice& lattice, std::size_t axis,
                                                const LatticeGroup& group)
{
  const auto extent = static_cast<std::size_t>(lattice.shape[axis]);
  std::vector<std::vector<std::int64_t>> members(extent);
  for (std::size_t at = 0; at < extent; ++at)
    members[static_cast<std::size_t>(label(static_cast<std::int64_t>(at), axis, group))].push_back(
        static_cast<std::int64_t>(at));
  for (std::size_t at = 0; at < extent; ++at)
    members[at] = members[static_cast<std::size_t>(label(static_cast<std::int64_t>(at), axis, group))];
  return members;
}

// Links that cross the planes around `width` neighbouring coordinates of a closed axis, one direction each.
double links_around(const RoutedLattice& lattice, std::size_t axis, std::int64_t width)
{
  const std::int64_t extent = lattice.shape[axis];
  const std::int64_t lines  = lattice.chips() / extent;
  std::int64_t links        = 2 * lines;
  for (const WrapShift& shift : lattice.twist) {
    if (shift.shifted != axis)
      continue;
    // As many wraps of the other axis leave each coordinate as it has lines, both ways.
    const std::int64_t by = (shift.by % extent + extent) % extent;
    const std::int64_t inside =
        by == 0 ? width : std::max<std::int64_t>(0, width - by) + std::max<std::int64_t>(0, width - (extent - by));
    links += 2 * (lines / lattice.shape[shift.axis]) * (width - inside);
  }
  return static_cast<double>(links);
}

// The most blocks per link over the cuts across this axis.
double cut_bound(const RoutedLattice& lattice, std::size_t axis, const LatticeGroup& group)
{
  const std::int64_t extent = lattice.shape[axis];
  const std::int64_t here   = size_on(axis, group);
  std::int64_t elsewhere    = 1; // choices of the destination's other coordinates
  for (std::size_t other = 0; other < lattice.shape.size(); ++other)
    if (other != axis)
      elsewhere *= size_on(other, group);
  const std::int64_t lines = lattice.chips() / extent;
  double most              = 0;
  for (std::int64_t start = 0; start < (lattice.closed[axis] ? extent : 1); ++start) {
    std::vector<std::int64_t> within(static_cast<std::size_t>(extent));
    std::int64_t leaving = 0; // pairs of coordinates of a group, the first within the cut, the second not
    for (std::int64_t width = 1; width < extent; ++width) {
      std::int64_t& mates = within[static_cast<std::size_t>(label((start + width - 1) % extent, axis, group))];
      leaving += here - 1 - 2 * mates;
      ++mates;
      const double links = lattice.closed[axis] ? links_around(lattice, axis, width) : static_cast<double>(lines);
      most               = std::max(most, static_cast<double>(leaving * elsewhere * lines) / links);
    }
  }
  return most;
}

// What the groups of one axis put on one line of it.
struct LineLoad {
  double busiest       = 0;
  double total         = 0;
  std::int64_t longest = 0;
};

LineLoad line_load(const RoutedLattice& lattice, std::size_t axis, const LatticeGroup& group)
{
  const std::int64_t extent = lattice.shape[axis];
  LineLoad load;
  // Of each link upwards, where the load begins and ends; a way over the wrap goes on beyond `extent`. Downwards is
  // the mirror image, and as the groups are symmetric, each way up has its equal down: over the same links.
  std::vector<double> change(static_cast<std::size_t>(2 * extent + 1));
  const auto members = partners(lattice, axis, group);
  for (std::int64_t from = 0; from < extent; ++from)
    for (const std::int64_t to : members[static_cast<std::size_t>(from)]) {
      const std::int64_t up   = lattice.closed[axis] ? (to - from + extent) % extent : to - from;
      const std::int64_t down = lattice.closed[axis] ? extent - up : extent;
      if (up <= 0 || up > down)
        continue;
      const double share = up == down ? 0.5 : 1;
      change[static_cast<std::size_t>(from)] += share;
      change[static_cast<std::size_t>(from + up)] -= share;
      load.total += 2 * share * static_cast<double>(up);
      load.longest = std::max(load.longest, up);
    }
  std::partial_sum(change.begin(), change.end(), change.begin());
  for (std::size_t link = 0; link < static_cast<std::size_t>(extent); ++link)
    load.busiest = std::max(load.busiest, change[link] + change[link + static_cast<std::size_t>(extent)]);
  return load;
}

// Axis by axis, a block's hops along an axis lie on a line whose other coordinates are the source's or the
// destination's; either way each line sees every pair of its coordinates as often as there are choices of the
// group's other coordinates.
void add_straight_load(const RoutedLattice& lattice, const LatticeGroup& group, std::int64_t group_size,
                       AllToAllLoad& load)
{
  for (std::size_t axis = 0; axis < lattice.shape.size(); ++axis) {
    const LineLoad line       = line_load(lattice, axis, group);
    const std::int64_t copies = group_size / size_on(axis, group);
    const std::int64_t lines  = lattice.chips() / lattice.shape[axis];
    load.busiest_link         = std::max(load.busiest_link, line.busiest * static_cast<double>(copies));
    load.total_hops += line.total * static_cast<double>(copies * lines);
    load.longest_hops += line.longest;
  }
}

using Steps = std::vector<std::int64_t>; // along each axis

// Steps on a twisted lattice, and the chip they lead to.
class TwistedLattice {
public:
  explicit TwistedLattice(const RoutedLattice& lattice) : lattice_(lattice), order_(lattice.shape.size())
  {
    // Axes whose wraps shift others come first: reducing a coordinate must not spoil one already reduced.
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_partition(order_.begin(), order_.end(), [&](std::size_t axis) {
      return std::any_of(lattice.twist.begin(), lattice.twist.end(),
                         [&](const WrapShift& shift) { return shift.axis == axis; });
    });
  }

  std::size_t chip(Steps at) const
  {
    for (const std::size_t axis : order_) {
      const std::int64_t extent = lattice_.shape[axis];
      const std::int64_t wraps  = at[axis] >= 0 ? at[axis] / extent : -((extent - 1 - at[axis]) / extent);
      at[axis] -= wraps * extent;
      for (const WrapShift& shift : lattice_.twist)
        if (shift.axis == axis)
          at[shift.shifted] += wraps * shift.by;
    }
    std::int64_t index = 0;
    for (std::size_t axis = lattice_.shape.size(); axis-- > 0;)
      index = index * lattice_.shape[axis] + at[axis];
    return static_cast<std::size_t>(index);
  }

  Steps coordinates(std::size_t chip) const
  {
    Steps at;
    auto rest = static_cast<std::int64_t>(chip);
    for (const std::int64_t extent : lattice_.shape) {
      at.push_back(rest % extent);
      rest /= extent;
    }
    return at;
  }

  // To each chip from chip 0, all shortest displacements: breadth first, since all but the last hop of a shortest way
  // is a shortest way.
  std::vector<std::vector<Steps>> shortest() const
  {
    std::vector<std::vector<Steps>> ways(static_cast<std::size_t>(lattice_.chips()));
    std::vector<std::int64_t> distance(ways.size(), -1);
    std::vector<std::size_t> queue{0};
    ways[0]     = {Steps(lattice_.shape.size())};
    distance[0] = 0;
    for (std::size_t next = 0; next < queue.size(); ++next) {
      const std::size_t here = queue[next];
      for (const Steps& way : ways[here])
        for (std::size_t axis = 0; axis < lattice_.shape.size(); ++axis)
          for (const std::int64_t step : {1, -1}) {
            Steps longer = way;
            longer[axis] += step;
            const std::size_t there = chip(longer);
            if (distance[there] < 0) {
              distance[there] = distance[here] + 1;
              queue.push_back(there);
            }
            std::vector<Steps>& known = ways[there];
            if (distance[there] == distance[here] + 1 && std::find(known.begin(), known.end(), longer) == known.end())
              known.push_back(std::move(longer));
          }
    }
    return ways;
  }

private:
  RoutedLattice lattice_;
  std::vector<std::size_t> order_;
};

std::int64_t hops(const Steps& way)
{
  return std::accumulate(way.begin(), way.end(), std::int64_t{0},
                         [](std::int64_t sum, std::int64_t steps) { return sum + std::abs(steps); });
}

// Blocks from a chip to all chips: by symmetry what one source puts on all links of a direction is what all
// sources put on each one.
void add_whole_twisted_load(const RoutedLattice& lattice, AllToAllLoad& load)
{
  std::vector<std::array<double, 2>> directions(lattice.shape.size());
  for (const std::vector<Steps>& ways : TwistedLattice(lattice).shortest())
    for (const Steps& way : ways) {
      const double share = 1 / static_cast<double>(ways.size());
      for (std::size_t axis = 0; axis < way.size(); ++axis)
        directions[axis][way[axis] < 0] += share * static_cast<double>(std::abs(way[axis]));
      load.longest_hops = std::max(load.longest_hops, hops(way));
    }
  for (const auto& direction : directions)
    for (const double blocks : direction) {
      load.busiest_link = std::max(load.busiest_link, blocks);
      load.total_hops += blocks * static_cast<double>(lattice.chips());
    }
}

// A group on part of a twisted lattice loads its links unevenly: every way is walked.
void add_walked_load(const RoutedLattice& lattice, const LatticeGroup& group, AllToAllLoad& load)
{
  const TwistedLattice twisted(lattice);
  const std::size_t axes = lattice.shape.size();
  const auto ways        = twisted.shortest();
  std::vector<std::vector<std::vector<std::int64_t>>> members;
  for (std::size_t axis = 0; axis < axes; ++axis)
    members.push_back(partners(lattice, axis, group));
  std::vector<double> links(ways.size() * axes * 2);
  for (std::size_t source = 0; source < ways.size(); ++source) {
    const Steps from = twisted.coordinates(source);
    std::vector<Steps> targets{{}}; // the displacements to the members of the group, axis by axis
    for (std::size_t axis = 0; axis < axes; ++axis) {
      std::vector<Steps> more;
      for (const Steps& target : targets)
        for (const std::int64_t to : members[axis][static_cast<std::size_t>(from[axis])]) {
          more.push_back(target);
          more.back().push_back(to - from[axis]);
        }
      targets = std::move(more);
    }
    for (const Steps& target : targets) {
      const std::vector<Steps>& shortest = ways[twisted.chip(target)];
      const double share                 = 1 / static_cast<double>(shortest.size());
      for (const Steps& way : shortest) {
        Steps at = from;
        for (std::size_t axis = 0; axis < axes; ++axis)
          for (std::int64_t left = std::abs(way[axis]); left > 0; --left) {
            links[(twisted.chip(at) * axes + axis) * 2 + (way[axis] < 0)] += share;
            at[axis] += way[axis] < 0 ? -1 : 1;
          }
      }
      load.longest_hops = std::max(load.longest_hops, hops(shortest.front()));
    }
  }
  load.busiest_link = *std::max_element(links.begin(), links.end());
  load.total_hops   = std::accumulate(links.begin(), links.end(), 0.0);
}

// A bug of the caller, not of the user's input.
void check(const RoutedLattice& lattice, const LatticeGroup& group)
{
  assert(lattice.shape.size() == lattice.closed.size());
  for ([[maybe_unused]] const WrapShift& shift : lattice.twist) {
    assert(lattice.closed[shift.axis] && lattice.closed[shift.shifted] && lattice.shape[shift.axis] > 1);
    assert(std::none_of(lattice.twist.begin(), lattice.twist.end(),
                        [&](const WrapShift& other) { return other.axis == shift.shifted; }));
  }
  for ([[maybe_unused]] const GroupPart& part : group)
    assert(lattice.shape[part.axis] % (part.length * part.stride) == 0);
}

} // namespace

std::int64_t RoutedLattice::chips() const
{
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::vector<WrapShift> symmetric_twist(const std::vector<std::int64_t>& shape)
{
  if (shape.size() != 3)
    return {};
  const auto [shortest, longest] = std::minmax_element(shape.begin(), shape.end());
  const std::int64_t k           = *shortest;
  if (k == 1 || *longest != 2 * k ||
      !std::all_of(shape.begin(), shape.end(), [&](auto n) { return n == k || n == 2 * k; }))
    return {};
  std::vector<WrapShift> twist;
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    for (std::size_t shifted = 0; shifted < shape.size(); ++shifted)
      if (shape[axis] == k && shape[shifted] == 2 * k)
        twist.push_back({axis, shifted, k});
  return twist;
}

LatticeGroup all_chips(const RoutedLattice& lattice)
{
  LatticeGroup group;
  for (std::size_t axis = 0; axis < lattice.shape.size(); ++axis)
    group.push_back({axis, lattice.shape[axis]});
  return group;
}

AllToAllLoad all_to_all_load(const RoutedLattice& lattice, const LatticeGroup& group)
{
  check(lattice, group);
  std::int64_t group_size = 1;
  for (const GroupPart& part : group)
    group_size *= part.length;
  AllToAllLoad load;
  if (group_size == 1)
    return load;
  if (lattice.twist.empty())
    add_straight_load(lattice, group, group_size, load);
  else if (group_size == lattice.chips())
    add_whole_twisted_load(lattice, load);
  else
    add_walked_load(lattice, group, load);
  std::int64_t links = 0;
  for (std::size_t axis = 0; axis < lattice.shape.size(); ++axis) {
    const std::int64_t extent = lattice.shape[axis];
    if (extent > 1)
      links += 2 * (lattice.closed[axis] ? extent : extent - 1) * (lattice.chips() / extent);
    load.cut_bound = std::max(load.cut_bound, cut_bound(lattice, axis, group));
  }
  load.mean_link = load.total_hops / static_cast<double>(links);
  load.mean_hops = load.total_hops / static_cast<double>(lattice.chips() * (group_size - 1));
  return load;
}

Seconds all_to_all_time(const AllToAllLoad& load, Bytes block, BytesPerSecond link_bandwidth, Seconds hop_latency)
{
  return load.busiest_link * block / link_bandwidth + static_cast<double>(load.longest_hops) * hop_latency;
}

} // namespace podsim
