#include "scenarios/variants.hpp"

#include "scenarios/change.hpp"

#include <algorithm>
#include <utility>

namespace podsim {
namespace {

constexpr std::size_t most_trees = 64; // of some hundred kilobytes each

} // namespace

// The tree in which the changes are set, or nothing where it must be resolved as a whole: then its document is other_.
Variants::Trees::iterator Variants::tree(const std::string& file, const std::vector<std::string>& changes)
{
  std::vector<std::optional<PlainChange>> plain;
  std::vector<std::string> key{file};
  for (const std::string& change : changes) {
    plain.push_back(plain_change(change));
    key.push_back(plain.back() ? plain.back()->path + "=" : change);
  }
  if (const auto known = trees_.find(key); known != trees_.end()) {
    Tree& own = known->second;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (own.changes[i] == changes[i])
        continue;
      own.touched.insert(plain[i]->path);
      *value_at(*own.document.json, plain[i]->path) = std::move(plain[i]->value);
      own.document.origins.set(plain[i]->path, origin_of(changes[i]));
      own.changes[i] = changes[i];
    }
    return known;
  }
  other_ = podsim::resolve(file, changes, catalogue_);
  if (!other_.mistakes.empty())
    return trees_.end();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!plain[i])
      continue;
    const Json* value = value_at(*other_.json, plain[i]->path);
    if (!value || *value != plain[i]->value)
      return trees_.end();
    for (std::size_t j = 0; j < changes.size(); ++j) // what is set last there counts
      if (const std::string other = path_of(changes[j]);
          i != j && (is_within(plain[i]->path, other) || is_within(other, plain[i]->path)))
        return trees_.end();
  }
  if (trees_.size() == most_trees)
    trees_.clear();
  return trees_.emplace(std::move(key), Tree{std::move(other_), changes, {}, {}}).first;
}

const Document& Variants::resolve(const std::string& file, const std::vector<std::string>& changes)
{
  last_ = tree(file, changes);
  return last_ == trees_.end() ? other_ : last_->second.document;
}

Scenario Variants::read()
{
  if (last_ == trees_.end())
    return read_scenario(std::move(other_));
  Tree& own        = last_->second;
  const bool fresh = !own.scenario && own.touched.empty();
  Trees::node_type failed;
  try {
    own.scenario =
        read_scenario(own.document, own.scenario ? &*own.scenario : nullptr, {own.touched.begin(), own.touched.end()});
    own.touched.clear();
    return *own.scenario;
  } catch (...) { // whatever it is, a reading that failed is none to go on from
    failed = trees_.extract(std::exchange(last_, trees_.end()));
    if (fresh)
      throw;
  }
  return read_scenario(
      podsim::resolve(failed.key().front(), failed.mapped().changes, catalogue_)); // says what is wrong
}

} // namespace podsim
