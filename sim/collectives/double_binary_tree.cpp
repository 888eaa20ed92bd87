#include "sim/collectives/double_binary_tree.hpp"

#include <algorithm>

namespace podsim {
namespace {

// Of a node of the first tree but its root, node 0: an inner node stands over those that differ from it in lower bits.
std::int64_t parent(std::int64_t node, std::int64_t n)
{
  const std::int64_t lowest = node & -node;
  const std::int64_t up     = (node ^ lowest) | (lowest << 1);
  return up < n ? up : node ^ lowest;
}

class DoubleBinaryTree : public NicStream {
public:
  DoubleBinaryTree(const AxisFactor& factor, Bytes chunk, const Machine& machine)
      : NicStream(factor, machine), tree_(double_tree(factor.length)),
        half_(chunk * (static_cast<double>(factor.length) / 2)), step_(to_ticks(half_ / machine.host.nic_bandwidth))
  {
  }

  Ticks work(const LineState& line) const override { return tree_.busiest * at_link_speed(step_, line.speed); }
  Ticks latencies(const LineState&) const override { return 2 * tree_.depth * latency(); }
  Ticks rest() const override { return (2 * tree_.depth - 1) * latency(); }

  Traffic traffic() const override
  {
    const auto n = static_cast<double>(factor().length);
    return {half_ * (4 * (n - 1) / n), work({})}; // both trees have n-1 edges, and each is used up and down
  }

private:
  DoubleTree tree_;
  Bytes half_;
  Ticks step_; // of half of the data at the full rate of the NIC
};

} // namespace

DoubleTree double_tree(std::int64_t n)
{
  DoubleTree tree;
  std::vector<std::int64_t> first(static_cast<std::size_t>(n)); // sends in one tree
  for (std::int64_t node = 1; node < n; ++node) {
    ++first[static_cast<std::size_t>(node)];
    ++first[static_cast<std::size_t>(parent(node, n))];
    std::int64_t depth = 0;
    for (std::int64_t at = node; at != 0; at = parent(at, n))
      ++depth;
    tree.depth = std::max(tree.depth, depth);
  }
  for (std::int64_t node = 0; node < n; ++node) {
    const std::int64_t in_second = n % 2 == 0 ? n - 1 - node : (node + n - 1) % n;
    tree.busiest =
        std::max(tree.busiest, first[static_cast<std::size_t>(node)] + first[static_cast<std::size_t>(in_second)]);
  }
  return tree;
}

PhasePtr double_binary_tree(const AxisFactor& factor, Bytes chunk, const Machine& machine)
{
  return std::make_shared<DoubleBinaryTree>(factor, chunk, machine);
}

} // namespace podsim
