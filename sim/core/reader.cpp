#include "sim/core/reader.hpp"

#include "sim/core/input.hpp"
#include "sim/core/number_hint.hpp"

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

bool is_within(const std::string& path, const std::string& of)
{
  return path.starts_with(of) &&
         (of.empty() || path.size() == of.size() || path[of.size()] == '.' || path[of.size()] == '[');
}

void Origins::set(const std::string& path, const std::string& origin)
{
  for (auto at = by_path_.lower_bound(path); at != by_path_.end() && at->first.starts_with(path);)
    at = is_within(at->first, path) ? by_path_.erase(at) : std::next(at);
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

void Document::note(Mistake mistake)
{
  const bool known =
      std::any_of(mistakes.begin(), mistakes.end(), [&](const Mistake& other) { return other.line == mistake.line; });
  if (!known)
    mistakes.push_back(std::move(mistake));
}

bool Document::of_the_user(const std::string& path) const
{
  return std::find(files.begin(), files.end(), origins.of(path)) == files.end();
}

void Document::tell_mistakes() const
{
  if (mistakes.empty())
    return;
  std::vector<std::string> lines;
  bool misread = false;
  // Of the rest the order is that of the reading.
  const auto follows_from_a_slip = [&](const Mistake& wrong) { // as one of two keys that need each other
    return wrong.kind == Mistake::Kind::wrong &&
           std::any_of(mistakes.begin(), mistakes.end(), [&](const Mistake& other) {
             return other.kind == Mistake::Kind::misspelt && other.path == wrong.path;
           });
  };
  const auto tell = [&](auto... kinds) {
    for (const Mistake& mistake : mistakes)
      if (!mistake.dropped && ((mistake.kind == kinds) || ...) && !follows_from_a_slip(mistake))
        lines.push_back(mistake.wanted.empty() ? mistake.line : mistake.line + ": " + mistake.wanted);
  };
  for (const Mistake& mistake : mistakes)
    misread = misread || mistake.kind == Mistake::Kind::misspelt || mistake.kind == Mistake::Kind::misread;
  tell(Mistake::Kind::misspelt);
  tell(Mistake::Kind::misread, Mistake::Kind::wrong);
  tell(Mistake::Kind::missing);
  if (misread)
    throw MisreadError(std::move(lines));
  throw InputError(std::move(lines));
}

namespace {

// Of a value of the wrong kind nothing else is wrong.
bool misread_before(const Document& document, const std::string& path)
{
  return std::any_of(document.mistakes.begin(), document.mistakes.end(), [&](const Mistake& mistake) {
    return mistake.kind == Mistake::Kind::misread && mistake.path == path;
  });
}

// Thrown of a value that is missing or wrong by itself, of which the user is told already.
class NothingToRead : public InputError {
public:
  using InputError::InputError;
};

} // namespace

Reader::Reader(Document& document) : Reader(document, *document.json, "") {}

Reader::Reader(Document& document, const Json& json, std::string path)
    : document_(&document), json_(&json), path_(std::move(path))
{
}

Reader Reader::nothing(std::string path) const
{
  static const Json null;
  Reader none(*document_, null, std::move(path));
  none.void_ = true;
  return none;
}

bool Reader::of_the_user() const
{
  return document_->of_the_user(path_);
}

bool Reader::sound() const
{
  return !void_ && std::none_of(document_->mistakes.begin(), document_->mistakes.end(),
                                [&](const Mistake& mistake) { return is_within(mistake.path, path_); });
}

void Reader::note_thrown(const InputError& error, std::size_t before) const
{
  if (dynamic_cast<const NothingToRead*>(&error) != nullptr)
    return;
  const bool misread = dynamic_cast<const MisreadError*>(&error) != nullptr;
  if (!misread && document_->mistakes.size() > before)
    return;
  for (const std::string& line : error.lines())
    document_->note({misread ? Mistake::Kind::misread : Mistake::Kind::wrong, path_, line, {}, {}});
}

void Reader::fail(const std::string& complaint) const
{
  if (void_)
    throw NothingToRead(complaint);
  throw InputError(placed(complaint));
}

void Reader::complain(const std::string& complaint) const
{
  if (!document_->keeps_mistakes)
    fail(complaint);
  if (!void_ && !misread_before(*document_, path_))
    document_->note({Mistake::Kind::wrong, path_, placed(complaint), {}, {}});
}

void Reader::complain_to_user(const std::string& complaint) const
{
  std::string path = path_;
  while (!path.empty() && !document_->named_by.contains(path))
    path.resize(path.find_last_of(".[") == std::string::npos ? 0 : path.find_last_of(".["));
  if (of_the_user() || path.empty())
    return complain(complaint);
  const std::string line =
      fmt::format("{}: {}: {} (of {})", document_->named_by.at(path), path, complaint, document_->origins.of(path_));
  if (!document_->keeps_mistakes)
    throw InputError(line);
  document_->note({Mistake::Kind::wrong, path_, line, {}, {}});
}

std::string Reader::placed(const std::string& complaint) const
{
  return fmt::format("{}: {}{}", document_->origins.of(path_), path_.empty() ? "" : path_ + ": ", complaint);
}

namespace {

std::string found(const Json& json)
{
  return json.is_object()  ? "an object"
         : json.is_array() ? "a list"
                           : printable(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

} // namespace

void Reader::expected(const std::string& what, const std::string& hint) const
{
  want(what);
  if (void_)
    throw NothingToRead(what);
  throw MisreadError(placed(fmt::format("expected {}, found {}{}", what, found(*json_), hint)));
}

void Reader::misread(const std::string& what, const std::string& hint) const
{
  if (!document_->keeps_mistakes)
    expected(what, hint);
  want(what);
  if (!void_ && !misread_before(*document_, path_))
    document_->note({Mistake::Kind::misread,
                     path_,
                     placed(fmt::format("expected {}, found {}{}", what, found(*json_), hint)),
                     {},
                     {}});
}

void Reader::want(const std::string& what) const
{
  if (mistake_ && document_->mistakes[*mistake_].wanted.empty())
    document_->mistakes[*mistake_].wanted = what;
}

// What the reading of a missing key goes on with.
Reader Reader::absent(const std::string& key)
{
  Reader none = nothing(child_path(path_, key));
  if (void_) { // the keys of a missing object say what it is
    if (mistake_) {
      std::string& wanted = document_->mistakes[*mistake_].wanted;
      if (wanted.empty())
        wanted = "an object with " + key;
      else if (wanted.starts_with("an object with "))
        wanted += ", " + key;
    }
    return none;
  }
  if (!document_->unreadable.insert(none.path_).second)
    return none;
  Mistake missing{Mistake::Kind::missing, path_, placed(fmt::format("the key \"{}\" is missing", key)), key, {}};
  if (const auto names = document_->choices.find(none.path_); names != document_->choices.end())
    missing.wanted = fmt::format("one of {}", fmt::join(names->second, ", "));
  document_->mistakes.push_back(std::move(missing));
  none.mistake_ = document_->mistakes.size() - 1;
  return none;
}

Reader Reader::at(const std::string& key)
{
  if (std::optional<Reader> value = find(key))
    return *value;
  if (document_->keeps_mistakes)
    return absent(key);
  std::string hint;
  for (const auto& item : json_->items()) // a near miss among the keys nobody asked for yet
    if (std::find(known_.begin(), known_.end(), item.key()) == known_.end())
      if (!did_you_mean(item.key(), {key}).empty())
        hint = fmt::format("; is \"{}\" a misspelling of it?", printable(item.key()));
  fail(fmt::format("the key \"{}\" is missing{}", key, hint));
}

std::optional<Reader> Reader::find(const std::string& key)
{
  if (!void_ && !json_->is_object()) {
    misread("an object");
    void_ = true;
  }
  known_.push_back(key);
  if (void_)
    return std::nullopt;
  const std::string path = child_path(path_, key);
  const auto found       = json_->find(key);
  if (found == json_->end())
    return std::nullopt;
  if (document_->unreadable.contains(path))
    return nothing(path);
  return Reader(*document_, *found, path);
}

void Reader::finish() const
{
  if (void_)
    return;
  for (const auto& item : json_->items()) {
    if (item.key() == "note" || std::find(known_.begin(), known_.end(), item.key()) != known_.end())
      continue;
    const std::string path = child_path(path_, item.key());
    const std::string hint = did_you_mean(item.key(), known_);
    const std::string line = fmt::format("{}: {}unknown key \"{}\"{}", document_->origins.of(path),
                                         path_.empty() ? "" : path_ + ": ", printable(item.key()), hint);
    if (!document_->keeps_mistakes)
      throw MisreadError(line);
    // The key that it was meant to be is not missing as well.
    for (Mistake& mistake : document_->mistakes)
      if (mistake.kind == Mistake::Kind::missing && mistake.path == path_)
        mistake.dropped = mistake.dropped || hint.find("\"" + mistake.key + "\"") != std::string::npos;
    document_->note({Mistake::Kind::misspelt, path_, line, {}, {}});
  }
}

std::vector<std::string> Reader::keys()
{
  if (!json_->is_object()) {
    misread("an object");
    return {};
  }
  std::vector<std::string> names;
  for (const auto& item : json_->items())
    if (item.key() != "note")
      names.push_back(item.key());
  return names;
}

std::vector<Reader> Reader::elements() const
{
  if (!json_->is_array()) {
    misread("a list");
    return {};
  }
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
  if (json_->is_boolean())
    return json_->get<bool>();
  misread("true or false");
  return false;
}

std::string Reader::text() const
{
  if (json_->is_string())
    return json_->get<std::string>();
  misread("a text");
  return {};
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
  if (json_->is_number() && std::isfinite(json_->get<double>()))
    return json_->get<double>();
  misread("a number", json_->is_string() ? number_hint(json_->get<std::string>(), NumberKind::any) : "");
  return 1;
}

double Reader::fraction() const
{
  if (json_->is_number() && json_->get<double>() >= 0.001 && json_->get<double>() <= 1)
    return json_->get<double>();
  misread("a fraction from 0.001 to 1",
          json_->is_string() ? number_hint(json_->get<std::string>(), NumberKind::fraction) : "");
  return 1;
}

std::int64_t Reader::count(std::int64_t least, std::int64_t most) const
{
  if (json_->is_number_integer()) {
    const bool beyond = json_->is_number_unsigned() && json_->get<std::uint64_t>() > static_cast<std::uint64_t>(most);
    if (!beyond && json_->get<std::int64_t>() >= least && json_->get<std::int64_t>() <= most)
      return json_->get<std::int64_t>();
  } else if (json_->is_number()) { // 2048.0 and 2.048e3 are whole numbers, too
    const double value = json_->get<double>();
    if (value == std::floor(value) && value >= static_cast<double>(least) && value <= static_cast<double>(most))
      return static_cast<std::int64_t>(value);
  }
  misread(least == most ? fmt::format("{}", least) : fmt::format("a whole number from {} to {}", least, most),
          json_->is_string() ? number_hint(json_->get<std::string>(), NumberKind::whole) : "");
  return least;
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
  const auto harmless = parse_quantity<Unit>(example<Unit>());
  if (!json_->is_string()) {
    misread(json_->is_number() ? fmt::format("a number with its unit, like {}", with_unit<Unit>(json_->dump()))
                               : fmt::format("a quantity, like \"{}\"", example<Unit>()));
    return harmless;
  }
  Quantity<Unit> value;
  try {
    value = parse_quantity<Unit>(json_->get<std::string>());
  } catch (const std::invalid_argument& wrong) {
    const std::string complaint =
        placed(fmt::format("found \"{}\": {}", printable(json_->get<std::string>()), wrong.what()));
    if (!document_->keeps_mistakes)
      throw MisreadError(complaint);
    document_->note({Mistake::Kind::misread, path_, complaint, {}, {}});
    return harmless;
  }
  const auto [least, most] = machine_range<Unit>;
  if (value >= parse_quantity<Unit>(least) && value <= parse_quantity<Unit>(most))
    return value;
  misread(fmt::format("a quantity from {} to {}", least, most));
  return harmless;
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
  const std::string name   = json_->is_string() ? json_->get<std::string>() : "";
  const auto chosen        = std::find(names.begin(), names.end(), name);
  if (json_->is_string() && chosen != names.end())
    return static_cast<std::size_t>(chosen - names.begin());
  if (names.empty()) // nothing to go on with
    expected(wanted);
  misread(wanted, json_->is_string() ? did_you_mean(name, names) : "");
  return 0;
}

Reader Reader::constant(const std::string& key)
{
  Reader holder    = at(key);
  const auto shown = [](const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); };
  if (holder.void_)
    return holder;
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

bool Reader::taken_as_before()
{
  const auto& before = document_->before;
  if (!before || std::any_of(before->changed.begin(), before->changed.end(),
                             [&](const std::string& path) { return is_within(path, path_); }))
    return false;
  std::copy_if(before->constants->begin(), before->constants->end(), std::back_inserter(document_->constants),
               [&](const UsedConstant& one) { return is_within(one.path, path_); });
  return true;
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
