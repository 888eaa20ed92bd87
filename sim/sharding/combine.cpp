#include "sim/sharding/combine.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace podsim {
namespace {

struct Group {
  std::vector<int> members;
  int place; // the member in whose position the combined one stands
};

std::vector<Group> combinable(const DeviceBlock& block, const std::set<int>& candidates)
{
  std::map<std::tuple<CollectiveKind, AxisMask, bool>, std::vector<int>> alike;
  for (std::size_t i = 0; i < block.operations.size(); ++i) {
    const DeviceOperation& op = block.operations[i];
    if (op.kind == DeviceOperation::Kind::collective && candidates.contains(static_cast<int>(i)))
      alike[{op.collective.kind, op.collective.axes, op.needs.empty()}].push_back(static_cast<int>(i));
  }
  std::vector<Group> groups;
  for (const auto& entry : alike) {
    const std::vector<int>& members = entry.second;
    const bool from_start = std::get<2>(entry.first); // nothing to wait for: all move to the first, else to the last
    const Group group{members, from_start ? members.front() : members.back()};
    const auto reads_early = [&](const DeviceOperation& op) {
      return std::any_of(op.needs.begin(), op.needs.end(), [&](int need) {
        return std::find(members.begin(), members.end(), need) != members.end() &&
               &op - block.operations.data() < group.place;
      });
    };
    if (std::none_of(block.operations.begin(), block.operations.end(), reads_early))
      groups.push_back(group);
  }
  return groups;
}

} // namespace

void combine(DeviceBlock& block, const std::set<int>& candidates)
{
  const int size = static_cast<int>(block.operations.size());
  std::vector<int> into(static_cast<std::size_t>(size)); // old index -> old index it is merged into
  for (int i = 0; i < size; ++i)
    into[static_cast<std::size_t>(i)] = i;
  for (const Group& group : combinable(block, candidates)) {
    DeviceOperation& whole = block.operations[static_cast<std::size_t>(group.place)];
    if (group.members.size() > 1)
      whole.name = std::string(name(whole.collective.kind)) +
                   (whole.collective.kind == CollectiveKind::all_gather ? " weights" : " gradients");
    for (const int member : group.members)
      if (member != group.place) {
        const DeviceOperation& part = block.operations[static_cast<std::size_t>(member)];
        whole.collective.full += part.collective.full;
        whole.needs.insert(whole.needs.end(), part.needs.begin(), part.needs.end());
        into[static_cast<std::size_t>(member)] = group.place;
      }
  }
  std::vector<int> renumbered(static_cast<std::size_t>(size));
  std::vector<DeviceOperation> kept;
  for (int i = 0; i < size; ++i)
    if (into[static_cast<std::size_t>(i)] == i) {
      renumbered[static_cast<std::size_t>(i)] = static_cast<int>(kept.size());
      kept.push_back(std::move(block.operations[static_cast<std::size_t>(i)]));
    }
  const auto moved = [&](int old) {
    return old < 0 || old >= size ? old : renumbered[static_cast<std::size_t>(into[static_cast<std::size_t>(old)])];
  };
  for (DeviceOperation& op : kept) {
    for (int& need : op.needs)
      need = moved(need);
    std::sort(op.needs.begin(), op.needs.end());
    op.needs.erase(std::unique(op.needs.begin(), op.needs.end()), op.needs.end());
  }
  for (Buffer& buffer : block.buffers) {
    buffer.first = moved(buffer.first);
    buffer.last  = std::min(std::max(moved(buffer.last), buffer.first), static_cast<int>(kept.size()));
  }
  block.operations = std::move(kept);
}

} // namespace podsim
