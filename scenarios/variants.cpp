#include "scenarios/variants.hpp"

#include "scenarios/change.hpp"

#include <algorithm>
#include <utility>

namespace podsim {
namespace {

constexpr std::size_t most_trees = 64; // of some hundred kilobytes each

// Whether one path leads to or through the other: what is set last then counts.
bool on_one_way(const std::string& a, const std::string& b)
{
  const auto& [shorter, longer] = std::minmax(a, b, [](const auto& x, const auto& y) { return x.size() < y.size(); });
  return longer.starts_with(shorter) && (longer.size() == shorter.size() || longer[shorter.size()] == '.');
}

} // namespace

// The tree in which the changes are set, or nothing where it must be resolved as a whole: then its document is other_.
Variants::Trees::iterator Variants::tree(const std::string& file, const std::vector<std::string>& changes)
{
  std::vector<std::optional<PlainChange>> plain;
  std::vector<std::string> key{file};
  for (const std::string& change : changes) {
    plain.push_back(plain_change(change));
    key.push_back(plain.back() ? plain.back()->path : change);
  }
  if (const auto known = trees_.find(key); known != trees_.end()) {
    Tree& own = known->second;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (own.changes[i] == changes[i])
        continue;
      *value_at(*own.document.json, plain[i]->path) = std::move(plain[i]->value);
      own.document.origins.set(plain[i]->path, origin_of(changes[i]));
      own.changes[i] = changes[i];
      own.touched.push_back(plain[i]->path);
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
    for (std::size_t j = 0; j < changes.size(); ++j)
      if (i != j && on_one_way(plain[i]->path, changes[j].substr(0, changes[j].find('='))))
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
  Tree& own = last_->second;
  try {
    own.scenario = read_scenario(own.document, own.scenario ? &*own.scenario : nullptr, std::move(own.touched));
    own.touched.clear();
    return *own.scenario;
  } catch (const InputError&) {
  } catch (const CannotRun&) {
  }
  const auto failed = trees_.extract(std::exchange(last_, trees_.end()));
  return read_scenario(
      podsim::resolve(failed.key().front(), failed.mapped().changes, catalogue_)); // says what is wrong
}

} // namespace podsim
