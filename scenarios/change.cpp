#include "scenarios/change.hpp"

#include "sim/core/input.hpp"
#include "sim/core/number_hint.hpp"

#include <algorithm>

namespace podsim {

const std::vector<Slot>& slots()
{
  static const std::vector<Slot> table{
      {"model", Shelf::models, "model"},          {"machine", Shelf::machines, "machine"},
      {"machine.chip", Shelf::chips, "chip"},     {"workload.remat", Shelf::remats, "remat"},
      {"sharding", Shelf::shardings, "sharding"}, {"software", Shelf::software, "software"}};
  return table;
}

bool is_slot(const std::string& path)
{
  return std::any_of(slots().begin(), slots().end(), [&](const Slot& one) { return one.path == path; });
}

std::vector<std::string> keys_on(const std::string& path)
{
  std::vector<std::string> keys;
  std::size_t at = 0;
  for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', at)) {
    keys.push_back(path.substr(at, dot - at));
    at = dot + 1;
  }
  keys.push_back(path.substr(at));
  return keys;
}

Json set_value(const std::string& text, const std::string& path)
{
  if (Json::accept(text))
    return parse_json(text, "--set " + path);
  const auto number = as_number(text); // ".8"
  return number ? Json(*number) : Json(text);
}

bool same_run(const std::string& change)
{
  const std::string path = path_of(change);
  const std::string key  = path.substr(path.rfind('.') + 1);                             // of npos + 1, 0
  if (!path.starts_with("mesh.") && (key == "note" || key == "name" || key == "source")) // axes have names of their own
    return true;
  for (const char* part : {"software.", "published", "machine.chip.", "machine.ici.", "machine.host.", "machine.dcn.",
                           "machine.nvlink.", "machine.cores."})
    if (change.starts_with(part))
      return true;
  return false;
}

std::optional<PlainChange> plain_change(const std::string& change)
{
  const std::string path = path_of(change);
  if (path.size() == change.size() || is_slot(path) || path == "base" || path.ends_with(".base"))
    return {};
  try {
    Json value = set_value(change.substr(path.size() + 1), path);
    return value.is_null() || value.is_structured() ? std::nullopt : std::optional(PlainChange{path, std::move(value)});
  } catch (const InputError&) { // for the resolving to tell
    return {};
  }
}

std::string path_of(const std::string& change)
{
  return change.substr(0, change.find('='));
}

std::string origin_of(const std::string& change)
{
  return "--set " + printable(change);
}

Json* value_at(Json& tree, const std::string& path)
{
  Json* at = &tree;
  for (const std::string& key : keys_on(path)) {
    if (!at->is_object() || !at->contains(key))
      return nullptr;
    at = &(*at)[key];
  }
  return at;
}

} // namespace podsim
