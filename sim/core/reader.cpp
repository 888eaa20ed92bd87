#include "sim/core/reader.hpp"

#include "sim/core/input.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

namespace podsim {

Document::Document() : json(std::make_unique<Json>()) {}
Document::~Document()                              = default;
Document::Document(Document&&) noexcept            = default;
Document& Document::operator=(Document&&) noexcept = default;

std::string child_path(const std::string& path, const std::string& key)
{
  return path.empty() ? key : path + "." + key;
}

void Origins::set(const std::string& path, const std::string& origin)
{
  for (auto at = by_path_.lower_bound(path); at != by_path_.end() && at->first.starts_with(path);) {
    const bool within = path.empty() || at->first.size() == path.size() || at->first[path.size()] == '.' ||
                        at->first[path.size()] == '[';
    at = within ? by_path_.erase(at) : std::next(at);
  }
  by_path_[path] = origin;
}

const std::string& Origins::of(std::string path) const
{
  static const std::string unknown = "input";
  for (;;) {
    if (const auto found = by_path_.find(path); found != by_path_.end())
      return found->second;
    if (path.empty())
      return unknown;
    const auto cut = path.find_last_of(".[");
    path.resize(cut == std::string::npos ? 0 : cut);
  }
}

Reader::Reader(Document& document) : Reader(document, *document.json, "") {}

Reader::Reader(Document& document, const Json& json, std::string path)
    : document_(&document), json_(&json), path_(std::move(path))
{
}

void Reader::fail(const std::string& complaint) const
{
  throw InputError(placed(complaint));
}

std::string Reader::placed(const std::string& complaint) const
{
  return fmt::format("{}: {}{}", document_->origins.of(path_), path_.empty() ? "" : path_ + ": ", complaint);
}

void Reader::expected(const std::string& what, const std::string& hint) const
{
  const std::string found = json_->is_object() ? "an object"
                            : json_->is_array()
                                ? "a list"
                                : printable(json_->dump(-1, ' ', false, Json::error_handler_t::replace));
  throw MisreadError(placed(fmt::format("expected {}, found {}{}", what, found, hint)));
}

Reader Reader::at(const std::string& key)
{
  if (std::optional<Reader> value = find(key))
    return *value;
  std::string hint;
  for (const auto& item : json_->items()) // a near miss among the keys nobody asked for yet
    if (std::find(known_.begin(), known_.end(), item.key()) == known_.end())
      if (!did_you_mean(item.key(), {key}).empty())
        hint = fmt::format("; is \"{}\" a misspelling of it?", printable(item.key()));
  fail(fmt::format("the key \"{}\" is missing{}", key, hint));
}

std::optional<Reader> Reader::find(const std::string& key)
{
  if (!json_->is_object())
    expected("an object");
  known_.push_back(key);
  const auto found = json_->find(key);
  if (found == json_->end())
    return std::nullopt;
  return Reader(*document_, *found, child_path(path_, key));
}

void Reader::finish() const
{
  for (const auto& item : json_->items())
    if (item.key() != "note" && std::find(known_.begin(), known_.end(), item.key()) == known_.end())
      throw MisreadError(fmt::format("{}: {}unknown key \"{}\"{}", document_->origins.of(child_path(path_, item.key())),
                                     path_.empty() ? "" : path_ + ": ", printable(item.key()),
                                     did_you_mean(item.key(), known_)));
}

std::vector<std::string> Reader::keys()
{
  if (!json_->is_object())
    expected("an object");
  std::vector<std::string> names;
  for (const auto& item : json_->items())
    if (item.key() != "note")
      names.push_back(item.key());
  return names;
}

std::vector<Reader> Reader::elements() const
{
  if (!json_->is_array())
    expected("a list");
  std::vector<Reader> all;
  for (std::size_t i = 0; i < json_->size(); ++i)
    all.push_back(Reader(*document_, (*json_)[i], fmt::format("{}[{}]", path_, i)));
  return all;
}

const std::string& Reader::origin() const
{
  return document_->origins.of(path_);
}

bool Reader::is_text() const
{
  return json_->is_string();
}
bool Reader::is_object() const
{
  return json_->is_object();
}

bool Reader::is_array() const
{
  return json_->is_array();
}

bool Reader::flag() const
{
  if (!json_->is_boolean())
    expected("true or false");
  return json_->get<bool>();
}

std::string Reader::text() const
{
  if (!json_->is_string())
    expected("a text");
  return json_->get<std::string>();
}

std::vector<std::string> Reader::texts() const
{
  if (is_text())
    return {text()};
  std::vector<std::string> all;
  for (const Reader& element : elements())
    all.push_back(element.text());
  return all;
}

double Reader::number() const
{
  if (!json_->is_number() || !std::isfinite(json_->get<double>()))
    expected("a number");
  return json_->get<double>();
}

double Reader::fraction() const
{
  if (!json_->is_number() || !(json_->get<double>() >= 0.001) || json_->get<double>() > 1)
    expected("a fraction from 0.001 to 1");
  return json_->get<double>();
}

std::int64_t Reader::count(std::int64_t least, std::int64_t most) const
{
  const std::string wanted =
      least == most ? fmt::format("{}", least) : fmt::format("a whole number from {} to {}", least, most);
  const bool fits = json_->is_number_integer() &&
                    !(json_->is_number_unsigned() && json_->get<std::uint64_t>() > static_cast<std::uint64_t>(most)) &&
                    json_->get<std::int64_t>() >= least && json_->get<std::int64_t>() <= most;
  if (!fits)
    expected(wanted);
  return json_->get<std::int64_t>();
}

namespace {

// Beyond these sizes, in base units, a quantity of a machine is a slip.
struct Range {
  const char* least = nullptr;
  const char* most  = nullptr;
};
template <class Unit> constexpr Range machine_range{};
template <> constexpr Range machine_range<SecondUnit>{"1 ps", "1 h"};
template <> constexpr Range machine_range<ByteUnit>{"1 B", "1 EB"};
template <> constexpr Range machine_range<PerSecond<ByteUnit>>{"1 kB/s", "1 EB/s"};
template <> constexpr Range machine_range<PerSecond<FlopUnit>>{"1 MFLOP/s", "1000 EFLOP/s"};
template <> constexpr Range machine_range<PerSecond<OpUnit>>{"1 MOP/s", "1000 EOP/s"};
template <> constexpr Range machine_range<WattUnit>{"1 W", "1 MW"};
template <> constexpr Range machine_range<GridUnit>{"0.001 g/kWh", "10 kg/kWh"};

} // namespace

template <class Unit> Quantity<Unit> Reader::quantity() const
{
  if (json_->is_number())
    expected(fmt::format("a number with its unit, like \"{}\"", example<Unit>()));
  if (!json_->is_string())
    expected(fmt::format("a quantity, like \"{}\"", example<Unit>()));
  Quantity<Unit> value;
  try {
    value = parse_quantity<Unit>(json_->get<std::string>());
  } catch (const std::invalid_argument& wrong) {
    throw MisreadError(placed(fmt::format("found \"{}\": {}", printable(json_->get<std::string>()), wrong.what())));
  }
  const auto [least, most] = machine_range<Unit>;
  if (!(value >= parse_quantity<Unit>(least) && value <= parse_quantity<Unit>(most)))
    expected(fmt::format("a quantity from {} to {}", least, most));
  return value;
}
template Seconds Reader::quantity<SecondUnit>() const;
template Bytes Reader::quantity<ByteUnit>() const;
template BytesPerSecond Reader::quantity<PerSecond<ByteUnit>>() const;
template FlopsPerSecond Reader::quantity<PerSecond<FlopUnit>>() const;
template OpsPerSecond Reader::quantity<PerSecond<OpUnit>>() const;
template Watts Reader::quantity<WattUnit>() const;
template GridIntensity Reader::quantity<GridUnit>() const;

std::size_t Reader::choose(const std::vector<std::string>& names) const
{
  const std::string wanted = fmt::format("one of {}", fmt::join(names, ", "));
  if (!json_->is_string())
    expected(wanted);
  const auto name  = json_->get<std::string>();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    expected(wanted, did_you_mean(name, names));
  return static_cast<std::size_t>(found - names.begin());
}

Reader Reader::constant(const std::string& key)
{
  Reader holder    = at(key);
  const auto shown = [](const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); };
  if (!holder.json_->is_object()) {
    document_->constants.push_back(
        {holder.path_, shown(*holder.json_), "given by " + document_->origins.of(holder.path_), {}});
    return holder;
  }
  Reader value        = holder.at("value");
  const Reader source = holder.at("source");
  UsedConstant used{holder.path_, shown(*value.json_), source.text(), {}};
  if (const auto cases = holder.find("calibrated_on"))
    used.calibrated_on = cases->texts();
  if (const auto chips = holder.find("chip"))
    used.chips = chips->texts();
  holder.finish();
  const std::string& giver = document_->origins.of(value.path_);
  if (giver != document_->origins.of(source.path_)) { // the source is that of a value laid over
    used.source        = "given by " + giver;
    used.calibrated_on = {};
    used.chips         = {};
  }
  document_->constants.push_back(std::move(used));
  return value;
}

Json parse_json(const std::string& text, const std::string& origin)
{
  constexpr int deepest         = 64;
  constexpr std::size_t longest = 200; // nlohmann's complaint quotes what it read last, however long

  if (text.find_first_not_of(" \t\r\n") == std::string::npos)
    throw InputError(fmt::format("{}: is empty; expected JSON", origin));
  std::vector<std::set<std::string>> keys; // of the objects that are open
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > deepest)
      throw InputError(fmt::format("{}: nested deeper than {} levels", origin, deepest));
    if (event == Json::parse_event_t::object_start)
      keys.emplace_back();
    else if (event == Json::parse_event_t::object_end)
      keys.pop_back();
    else if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      throw InputError(
          fmt::format("{}: the key \"{}\" stands twice in one object", origin, printable(value.get<std::string>())));
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::exception& wrong) {
    // nlohmann's text is "[json.exception.parse_error.101] parse error at line 3, column 7: ..."
    std::string message = wrong.what();
    message.erase(0, message.find("] ") == std::string::npos ? 0 : message.find("] ") + 2);
    if (message.size() > longest)
      message = message.substr(0, longest) + "...";
    throw InputError(fmt::format("{}: {}", origin, one_line(message)));
  }
}

Json parse_json_file(const std::string& file)
{
  return parse_json(read_input(file), file);
}

} // namespace podsim
