#include "scenarios/resolve.hpp"

#include "scenarios/change.hpp"
#include "sim/core/input.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace podsim {
namespace {

namespace fs = std::filesystem;

// For a file that is missing: the nearest name of a JSON file in its folder.
std::string nearest_file(const fs::path& missing)
{
  std::vector<std::string> names;
  std::error_code error;
  const fs::path folder = missing.has_parent_path() ? missing.parent_path() : ".";
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".json")
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return did_you_mean(missing.filename().string(), names);
}

std::vector<std::string> keys_of(const Json& object)
{
  std::vector<std::string> keys;
  for (const auto& item : object.items())
    keys.push_back(item.key());
  return keys;
}

class Resolver {
public:
  explicit Resolver(const Catalogue& catalogue) : catalogue_(catalogue) {}

  Document resolve(const std::string& file, const std::vector<std::string>& changes)
  {
    if (file.empty())
      throw InputError("expected a scenario file, found an empty name");
    *document_.json = read_scenario_file(catalogue_.find(Shelf::scenarios, file), {});
    return complete(changes);
  }

  Document resolve_text(const std::string& text, const std::string& file)
  {
    *document_.json = over_its_base(parse_json(text, file), file, {});
    return complete({});
  }

private:
  Document complete(const std::vector<std::string>& changes)
  {
    for (const std::string& change : changes) {
      gather([&] { apply(change); });
      if (!same_run(change))
        document_.json->erase("published");
    }
    for (const Slot& slot : slots())
      if (Json* value = value_at(*document_.json, slot.path))
        gather([&] { expand(slot, *value); }, slot.path);
      else
        document_.choices[slot.path] = catalogue_.names(slot.shelf);
    std::sort(document_.files.begin(), document_.files.end());
    return std::move(document_);
  }

  // Keeps what a part complains of for the reading to tell with its own; `path`: of what then cannot be read.
  template <class Part> void gather(const Part& part, const std::string& path = {})
  {
    try {
      part();
    } catch (const InputError& wrong) {
      document_.note({Mistake::Kind::misread, path, wrong.what(), {}, {}});
      if (!path.empty())
        document_.unreadable.insert(path);
    }
  }

  [[noreturn]] void fail(const std::string& path, const std::string& complaint) const
  {
    throw InputError(fmt::format("{}: {}: {}", document_.origins.of(path), path, complaint));
  }

  Json read_scenario_file(const std::string& file, std::vector<std::string> chain)
  {
    return over_its_base(catalogue_.read(file), file, std::move(chain));
  }

  std::string base_of(const std::string& file, const std::string& name) const
  {
    try {
      return catalogue_.find(Shelf::scenarios, name, file);
    } catch (const InputError& missing) {
      throw InputError(fmt::format("{}: base: {}", file, missing.what()));
    }
  }

  // A scenario laid over its base. `chain`: the files that have this one as theirs.
  Json over_its_base(Json json, const std::string& file, std::vector<std::string> chain)
  {
    std::error_code error;
    const std::string self = fs::weakly_canonical(file, error).string();
    if (std::find(chain.begin(), chain.end(), self) != chain.end())
      throw InputError(fmt::format("{}: base: leads back to this file", file));
    chain.push_back(self);
    if (!json.is_object())
      throw InputError(fmt::format("{}: expected an object, found {}", file, json.type_name()));
    json.erase("$schema"); // for editors
    folders_[file]  = folder_of(file);
    const auto base = json.find("base");
    if (base == json.end()) {
      document_.origins.set("", file);
      return json;
    }
    if (!base->is_string())
      throw InputError(fmt::format("{}: base: expected the name or the path of a scenario, found {}", file,
                                   printable(base->dump(-1, ' ', false, Json::error_handler_t::replace))));
    const std::string base_file = base_of(file, base->get<std::string>());
    json.erase("base");
    Json merged = read_scenario_file(base_file, chain);
    merged.erase("published"); // of another run
    Origins own;
    own.set("", file);
    lay_over(merged, json, "", own);
    return merged;
  }

  // RFC 7386, except that null must have something to remove; notes where values come from. A name laid over an
  // expanded reference replaces it whole.
  void lay_over(Json& under, const Json& over, const std::string& path, const Origins& origins)
  {
    for (const auto& [key, value] : over.items()) {
      const std::string place = child_path(path, key);
      if (value.is_null()) {
        if (!under.contains(key) && under.contains("base")) { // of what that stands for
          under[key] = nullptr;
          note_origins(value, place, origins);
          continue;
        }
        if (!under.contains(key) && !removed_.contains(place))
          throw InputError(fmt::format("{}: {}: null removes a key, but there is no such key to remove{}",
                                       origins.of(place), place, did_you_mean(key, keys_of(under))));
        under.erase(key);
      } else if (partial_.contains(place) && origins.of(place).starts_with("--set ") && under.contains(key) &&
                 under[key].is_string()) {
        const std::string giver = document_.origins.of(place);
        const Json name         = under[key];
        under[key]              = value;
        note_origins(value, place, origins);
        if (!value.contains("base")) {
          under[key]["base"] = name;
          document_.origins.set(child_path(place, "base"), giver);
        }
      } else if (value.is_object() && under.contains(key) && under[key].is_object()) {
        lay_over(under[key], value, place, origins);
      } else {
        under[key] = value;
        note_origins(value, place, origins);
      }
    }
  }

  void note_origins(const Json& value, const std::string& path, const Origins& origins)
  {
    document_.origins.set(path, origins.of(path));
    if (value.is_object())
      for (const auto& [key, child] : value.items())
        note_origins(child, child_path(path, key), origins);
  }

  // Replaces a name, or an object with a "base", by what it stands for. A file may itself begin from another.
  void expand(const Slot& slot, Json& value, int depth = 0)
  {
    constexpr int deepest = 16;
    Json over             = Json::object();
    std::string name;
    std::string place = slot.path;
    const Origins own = document_.origins;
    if (value.is_string()) {
      name = value.get<std::string>();
    } else if (value.is_object() && value.contains("base")) {
      place = child_path(slot.path, "base");
      if (!value["base"].is_string())
        fail(place, fmt::format("expected the name of a {}, found {}", slot.what,
                                printable(value["base"].dump(-1, ' ', false, Json::error_handler_t::replace))));
      name = value["base"].get<std::string>();
      over = value;
      over.erase("base");
    } else {
      return;
    }
    const std::string file = file_of(slot, place, name);
    value                  = catalogue_.read(file);
    if (!value.is_object())
      throw InputError(fmt::format("{}: expected an object, found {}", file, value.type_name()));
    value.erase("$schema"); // for editors
    if (const auto version = value.find("schema_version"); version != value.end()) {
      if (*version != 1)
        throw InputError(fmt::format("{}: schema_version: expected 1, found {}", file, printable(version->dump())));
      value.erase(version);
    }
    const std::string origin = catalogue_.within(file);
    folders_[origin]         = fs::path(file).parent_path();
    document_.files.push_back(origin);
    document_.origins.set(slot.path, origin);
    if (depth == 0)
      document_.named_by[slot.path] = own.of(place);
    if (depth == deepest)
      fail(place, "its bases lead back to it");
    if (value.contains("base"))
      expand(slot, value, depth + 1);
    lay_over(value, over, slot.path, own);
  }

  std::string file_of(const Slot& slot, const std::string& place, const std::string& name) const
  {
    std::error_code error;
    if (name.ends_with(".json")) {
      const auto folder = folders_.find(document_.origins.of(place)); // none for --set: the working directory
      std::string file  = ((folder == folders_.end() ? "" : folder->second) / name).lexically_normal().string();
      if (!fs::exists(file, error))
        fail(place, fmt::format("there is no file \"{}\"{}", file, nearest_file(file)));
      return file;
    }
    const std::vector<std::string> known = catalogue_.names(slot.shelf);
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail(place, fmt::format("there is no {} \"{}\"{} (known: {})", slot.what, printable(name),
                              did_you_mean(name, known), fmt::join(known, ", ")));
    return catalogue_.file(slot.shelf, name);
  }

  // --set PATH=VALUE: anything that a file could write there. What the path leads through is made where it is not, and
  // a name that it leads into becomes the base of what is set: so the base may be set before or after.
  void apply(const std::string& change)
  {
    const auto equals = change.find('=');
    if (equals == std::string::npos || equals == 0)
      throw InputError(
          fmt::format("--set: expected PATH=VALUE, like workload.batch=1024, found \"{}\"", printable(change)));
    const std::string path = change.substr(0, equals);
    const std::string own  = origin_of(change);
    Json value             = set_value(change.substr(equals + 1), path);
    if (path == "base")
      throw InputError(fmt::format("{}: a scenario's base is written in its file; run the other scenario, or set "
                                   "machine.base, model.base, ...",
                                   own));
    const std::vector<std::string> keys = keys_on(path);
    if (std::any_of(keys.begin(), keys.end(), [](const std::string& key) { return key.empty(); }))
      throw InputError(fmt::format("--set: \"{}\" is no path of a value, like workload.batch", printable(path)));
    Json* at    = document_.json.get();
    bool on_top = false; // of something that is still to be read
    std::string place;
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
      place = child_path(place, keys[i]);
      at    = &step_into(*at, keys[i], place, own, on_top);
    }
    if (value.is_null() && at->erase(keys.back()) > 0)
      removed_.insert(path);
    else if (value.is_null() && !on_top)
      throw InputError(fmt::format("--set {}: null removes a key, but there is no such key to remove{}",
                                   printable(path), did_you_mean(keys.back(), keys_of(*at))));
    if (!value.is_null() || on_top)
      (*at)[keys.back()] = std::move(value);
    std::erase_if(partial_, [&](const std::string& other) { return is_within(other, path); });
    document_.origins.set(path, own);
  }

  // The object or element on the way to what is set.
  Json& step_into(Json& holder, const std::string& key, const std::string& place, const std::string& own, bool& on_top)
  {
    const bool slot   = is_slot(place);
    const bool absent = !holder.contains(key);
    Json& value       = holder[key];
    if (absent) {
      value = Json::object();
      document_.origins.set(place, own);
      if (slot && on_top)
        partial_.insert(place);
    } else if (slot && value.is_string()) {
      const std::string origin = document_.origins.of(place);
      value                    = Json{{"base", value}};
      document_.origins.set(place, origin);
    } else if (!value.is_object()) {
      throw InputError(fmt::format("{}: \"{}\" is not an object", own, printable(place)));
    }
    on_top = on_top || (slot && (value.contains("base") || partial_.contains(place)));
    return value;
  }

  const Catalogue& catalogue_;
  Document document_;
  std::map<std::string, fs::path> folders_; // in which the file lies that an origin names
  std::set<std::string> partial_;           // references made by --set, to be laid over what is there in the end
  std::set<std::string> removed_;           // what --set has removed of a reference that is not yet read
};

bool is_plain(char c)
{
  return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void write_text(const std::string& text, std::string& to)
{
  if (!std::all_of(text.begin(), text.end(), is_plain)) {
    to += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  to += '"';
  to += text;
  to += '"';
}

// As dump() writes it, without the notes; what is copied and cleaned first takes three times as long, and every
// scenario of a study is.
void write_without_notes(const Json& json, std::string& to)
{
  if (json.is_string()) {
    write_text(json.get_ref<const std::string&>(), to);
  } else if (json.is_object()) {
    to += '{';
    for (const auto& [key, child] : json.get_ref<const Json::object_t&>()) {
      if (key == "note")
        continue;
      if (to.back() != '{')
        to += ',';
      write_text(key, to);
      to += ':';
      write_without_notes(child, to);
    }
    to += '}';
  } else if (json.is_array()) {
    to += '[';
    for (const Json& child : json) {
      if (to.back() != '[')
        to += ',';
      write_without_notes(child, to);
    }
    to += ']';
  } else {
    to += json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

} // namespace

Document resolve(const std::string& file, const std::vector<std::string>& changes, const Catalogue& catalogue)
{
  return Resolver(catalogue).resolve(file, changes);
}

Document resolve_text(const std::string& text, const std::string& file, const Catalogue& catalogue)
{
  return Resolver(catalogue).resolve_text(text, file);
}

std::string hash_of(const std::string& bytes)
{
  const XXH128_hash_t digest = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

std::string content_hash(const Document& document)
{
  std::string text; // keys are sorted
  write_without_notes(*document.json, text);
  return hash_of(text);
}

} // namespace podsim
