#include "scenarios/resolve.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace podsim {
namespace {

namespace fs = std::filesystem;

struct Slot { // a place where a name stands for a file
  std::string path;
  Shelf shelf;
  std::string what;
};

const std::vector<Slot>& slots()
{
  static const std::vector<Slot> table{{"model", Shelf::models, "model"},
                                       {"machine", Shelf::machines, "machine"},
                                       {"machine.chip", Shelf::chips, "chip"},
                                       {"workload.remat", Shelf::remats, "remat"},
                                       {"sharding", Shelf::shardings, "sharding"},
                                       {"software", Shelf::software, "software"}};
  return table;
}

std::vector<std::string> split(const std::string& path)
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

class Resolver {
public:
  explicit Resolver(const Catalogue& catalogue) : catalogue_(catalogue) {}

  Document resolve(const std::string& file, const std::vector<std::string>& changes)
  {
    document_.origins.set("", file);
    *document_.json = read_scenario_file(file, {});
    for (const std::string& change : changes)
      apply(change);
    for (const Slot& slot : slots())
      if (Json* value = find(slot.path))
        expand(slot, *value);
    std::sort(document_.files.begin(), document_.files.end());
    return std::move(document_);
  }

private:
  [[noreturn]] void fail(const std::string& path, const std::string& complaint) const
  {
    throw InputError(fmt::format("{}: {}: {}", document_.origins.of(path), path, complaint));
  }

  // A scenario file laid over its base.
  Json read_scenario_file(const std::string& file, std::vector<std::string> chain)
  {
    std::error_code error;
    const std::string self = fs::weakly_canonical(file, error).string();
    if (std::find(chain.begin(), chain.end(), self) != chain.end())
      throw InputError(fmt::format("{}: base: leads back to this file", file));
    chain.push_back(self);
    Json json = parse_json_file(file);
    if (!json.is_object())
      throw InputError(fmt::format("{}: expected an object, found {}", file, json.type_name()));
    const auto base = json.find("base");
    if (base == json.end())
      return json;
    if (!base->is_string())
      throw InputError(fmt::format("{}: base: expected the path of a scenario file", file));
    const std::string base_file = (fs::path(file).parent_path() / base->get<std::string>()).lexically_normal().string();
    if (!fs::exists(base_file, error))
      throw InputError(fmt::format("{}: base: there is no file \"{}\"", file, printable(base_file)));
    json.erase("base");
    Json merged = read_scenario_file(base_file, chain);
    document_.origins.set("", base_file);
    lay_over(merged, json, "", file);
    return merged;
  }

  // RFC 7386, noting where values come from. A name laid over an expanded reference replaces it whole.
  void lay_over(Json& under, const Json& over, const std::string& path, const std::string& origin)
  {
    for (const auto& [key, value] : over.items()) {
      const std::string place = child_path(path, key);
      if (value.is_null()) {
        under.erase(key);
      } else if (value.is_object() && under.contains(key) && under[key].is_object()) {
        lay_over(under[key], value, place, origin);
      } else {
        under[key] = value;
        document_.origins.set(place, origin);
      }
    }
  }

  Json* find(const std::string& path)
  {
    Json* at = document_.json.get();
    for (const std::string& key : split(path)) {
      if (!at->is_object() || !at->contains(key))
        return nullptr;
      at = &(*at)[key];
    }
    return at;
  }

  // Replaces a name, or an object with a "base", by what it stands for.
  void expand(const Slot& slot, Json& value)
  {
    Json over = Json::object();
    std::string name;
    const std::string own_origin = document_.origins.of(slot.path);
    if (value.is_string()) {
      name = value.get<std::string>();
    } else if (value.is_object() && value.contains("base")) {
      if (!value["base"].is_string())
        fail(slot.path + ".base", fmt::format("expected the name of a {}", slot.what));
      name = value["base"].get<std::string>();
      over = value;
      over.erase("base");
    } else {
      return;
    }
    const std::string file = file_of(slot, name);
    value                  = parse_json_file(file);
    if (!value.is_object())
      throw InputError(fmt::format("{}: expected an object, found {}", file, value.type_name()));
    if (const auto version = value.find("schema_version"); version != value.end()) {
      if (*version != 1)
        throw InputError(fmt::format("{}: schema_version: expected 1, found {}", file, printable(version->dump())));
      value.erase(version);
    }
    document_.files.push_back(catalogue_.within(file));
    document_.origins.set(slot.path, catalogue_.within(file));
    lay_over(value, over, slot.path, own_origin);
    for (const auto& [key, kept] : over.items())
      document_.origins.set(child_path(slot.path, key), own_origin);
  }

  std::string file_of(const Slot& slot, const std::string& name) const
  {
    std::error_code error;
    if (name.ends_with(".json")) {
      const fs::path folder  = fs::path(document_.origins.of(slot.path)).parent_path();
      const std::string file = (folder / name).lexically_normal().string();
      if (!fs::exists(file, error))
        fail(slot.path, fmt::format("there is no file \"{}\"", printable(file)));
      return file;
    }
    const std::vector<std::string> known = catalogue_.names(slot.shelf);
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail(slot.path, fmt::format("there is no {} \"{}\"{} (known: {})", slot.what, printable(name),
                                  did_you_mean(name, known), fmt::join(known, ", ")));
    return catalogue_.file(slot.shelf, name);
  }

  // --set PATH=VALUE. A path that leads into a reference expands it first.
  void apply(const std::string& change)
  {
    const auto equals = change.find('=');
    if (equals == std::string::npos || equals == 0)
      throw InputError(fmt::format("--set: expected PATH=VALUE, like workload.batch=1024, found \"{}\"", printable(change)));
    const std::string path = change.substr(0, equals);
    const std::string text = change.substr(equals + 1);
    Json value             = Json::parse(text, nullptr, false);
    if (value.is_discarded())
      value = text;

    const std::vector<std::string> keys = split(path);
    Json* at = document_.json.get();
    std::string place;
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
      place = child_path(place, keys[i]);
      if (!at->contains(keys[i])) {
        std::vector<std::string> known;
        for (const auto& item : at->items())
          known.push_back(item.key());
        throw InputError(fmt::format("--set {}: there is no \"{}\"{}", printable(path), printable(place), did_you_mean(keys[i], known)));
      }
      at = &(*at)[keys[i]];
      for (const Slot& slot : slots())
        if (slot.path == place)
          expand(slot, *at);
      if (!at->is_object())
        throw InputError(fmt::format("--set {}: \"{}\" is not an object", printable(path), printable(place)));
    }
    if (value.is_null())
      at->erase(keys.back());
    else
      (*at)[keys.back()] = std::move(value);
    document_.origins.set(path, "--set " + printable(change));
  }

  const Catalogue& catalogue_;
  Document document_;
};

void drop_notes(Json& json)
{
  if (json.is_object())
    json.erase("note");
  if (json.is_structured())
    for (Json& child : json)
      drop_notes(child);
}

} // namespace

Document resolve(const std::string& file, const std::vector<std::string>& changes, const Catalogue& catalogue)
{
  return Resolver(catalogue).resolve(file, changes);
}

std::string content_hash(const Document& document)
{
  Json json = *document.json;
  drop_notes(json);
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace); // keys are sorted
  const XXH128_hash_t digest = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

} // namespace podsim
