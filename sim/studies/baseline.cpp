#include "sim/studies/baseline.hpp"

#include "sim/evaluate/figures.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace podsim {
namespace {

namespace fs  = std::filesystem;
using Ordered = nlohmann::ordered_json;

std::string text_of(const Json& value)
{
  return value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// A number for all metrics, or an object with one for each and for "default".
void read_allowance(Reader reader, std::optional<double> Allowance::*which, Allowances& into)
{
  const auto share = [](const Reader& value) {
    const double given = value.number();
    if (given < 0 || given > 1)
      value.expected("a share from 0 to 1");
    return given;
  };
  if (!reader.is_object()) {
    into.all.*which = share(reader);
    return;
  }
  std::vector<std::string> known{"default"};
  for (const std::string& name : gated_names())
    known.push_back(name);
  for (const std::string& name : known)
    if (const auto value = reader.find(name)) {
      Allowance& allowance = name == "default" ? into.all : into.by_metric[name];
      allowance.*which     = share(*value);
    }
  reader.finish();
}

void read_allowances(Reader& reader, Allowances& into)
{
  if (const auto tolerance = reader.find("tolerance"))
    read_allowance(*tolerance, &Allowance::tolerance, into);
  if (const auto warn = reader.find("warn"))
    read_allowance(*warn, &Allowance::warn, into);
}

// A warning that only an error could reach would never be given.
void check_warnings(const Reader& at, const Allowances& overall, const Allowances& own)
{
  const Rules rules(overall, own, Improvements::error, false);
  for (const std::string& name : gated_names())
    if (const auto warn = rules.warn(name); warn && *warn >= rules.tolerance(name))
      at.fail(
          fmt::format("\"warn\" of {:g} for {} is not below its tolerance, {:g}", *warn, name, rules.tolerance(name)));
}

Numbers read_numbers(Reader reader)
{
  Numbers numbers;
  for (const std::string& key : reader.keys())
    numbers.emplace_back(key, reader.at(key).number());
  return numbers;
}

Texts read_texts(Reader reader)
{
  Texts texts;
  for (const std::string& key : reader.keys())
    texts.emplace(key, reader.at(key).text());
  return texts;
}

Measured read_results(Reader reader)
{
  Measured measured;
  measured.hash      = reader.at("hash").text();
  measured.files     = reader.at("files").texts();
  measured.metrics   = read_numbers(reader.at("metrics"));
  measured.breakdown = read_numbers(reader.at("breakdown_s"));
  measured.scenario  = read_texts(reader.at("scenario"));
  reader.finish();
  return measured;
}

std::string absolute(const Baseline& baseline, const std::string& file)
{
  return (fs::path(baseline.folder) / file).lexically_normal().string();
}

std::vector<std::string> changes_of(const Json& set)
{
  std::vector<std::string> changes;
  for (const auto& [path, value] : set.items())
    changes.push_back(fmt::format("{}={}", path, text_of(value)));
  return changes;
}

// A name of the catalogue or a path; of what is neither the path where it should be.
std::string file_of(const std::string& scenario, const Baseline& baseline, const Catalogue& catalogue)
{
  std::error_code error;
  try {
    return fs::absolute(catalogue.find(Shelf::scenarios, scenario, baseline.file), error).lexically_normal().string();
  } catch (const InputError&) {
    return absolute(baseline, scenario);
  }
}

// `json` is the same value: "set" holds any value, which a Reader does not give.
BaselineEntry read_entry(Reader entry, const Json& json, const Baseline& baseline, const Catalogue& catalogue)
{
  BaselineEntry read;
  if (entry.is_text()) {
    read.scenario = entry.text();
  } else {
    read.scenario = entry.at("scenario").text();
    if (auto set = entry.find("set")) {
      set->keys(); // complains of what is no object
      read.changes = changes_of(json.at("set"));
    }
    read_allowances(entry, read.own);
    check_warnings(entry, baseline.overall, read.own);
    if (const auto results = entry.find("results"))
      read.results = read_results(*results);
    entry.finish();
  }
  if (read.scenario.empty())
    entry.fail("expected the name or the path of a scenario, found an empty name");
  read.file = file_of(read.scenario, baseline, catalogue);
  return read;
}

// An object a line each, but what holds no object on one line.
void write(const Ordered& json, const std::string& indent, std::string& text)
{
  const auto nested = [](const Ordered& value) { return value.is_structured(); };
  if (!json.is_structured() || json.empty() || (json.is_array() && std::none_of(json.begin(), json.end(), nested))) {
    text += json.dump(-1, ' ', false, Ordered::error_handler_t::replace);
    return;
  }
  const std::string deeper = indent + "  ";
  const char* separator    = "";
  text += json.is_object() ? "{" : "[";
  for (const auto& item : json.items()) {
    text += separator + ("\n" + deeper);
    if (json.is_object())
      text += Ordered(item.key()).dump(-1, ' ', false, Ordered::error_handler_t::replace) + ": ";
    write(item.value(), deeper, text);
    separator = ",";
  }
  text += "\n" + indent + (json.is_object() ? "}" : "]");
}

// By name, whatever their order was.
Ordered to_json(Numbers numbers)
{
  std::sort(numbers.begin(), numbers.end());
  Ordered json = Ordered::object();
  for (const auto& [name, value] : numbers)
    json[name] = value;
  return json;
}

Ordered to_json(const Texts& texts)
{
  Ordered json = Ordered::object();
  for (const auto& [path, value] : texts)
    json[path] = value;
  return json;
}

Ordered to_json(const Measured& measured)
{
  return {{"hash", measured.hash},
          {"files", measured.files},
          {"metrics", to_json(measured.metrics)},
          {"breakdown_s", to_json(measured.breakdown)},
          {"scenario", to_json(measured.scenario)}};
}

// Each value of a resolved scenario, but for what changes no number: names, notes, sources, published figures.
class Values {
public:
  Values(const Document& document, const Baseline& baseline, Measured& into)
      : document_(document), baseline_(baseline), into_(into)
  {
  }

  void collect(const Json& value, const std::string& path)
  {
    if (value.is_object() && !(value.contains("value") && value.contains("source"))) {
      for (const auto& [key, child] : value.items())
        if (!is_text(key))
          collect(child, child_path(path, key));
      return;
    }
    const bool constant       = value.is_object();
    const std::string& origin = document_.origins.of(constant ? child_path(path, "value") : path);
    const std::string text    = text_of(constant ? value.at("value") : value);
    const auto& files         = document_.files;
    if (std::find(files.begin(), files.end(), origin) == files.end())
      into_.scenario[path] = text;
    else
      into_.catalogue[named(origin)][path] = text;
  }

  // A file of the catalogue by its name there; one of the user's from the baseline's folder.
  std::string named(const std::string& file) const
  {
    return fs::path(file).is_absolute() ? from_folder(baseline_, file) : file;
  }

private:
  static bool is_text(const std::string& key)
  {
    return key == "note" || key == "name" || key == "source" || key == "published" || key == "schema_version";
  }

  const Document& document_;
  const Baseline& baseline_;
  Measured& into_;
};

} // namespace

Baseline read_baseline(const std::string& file, const Catalogue& catalogue)
{
  Document document;
  *document.json = parse_json_file(file);
  if (document.json->is_object())
    document.json->erase("$schema"); // for editors
  document.origins.set("", file);
  Reader top(document);
  top.at("schema_version").count(baseline_schema_version, baseline_schema_version);

  Baseline baseline;
  std::error_code error;
  baseline.file   = file;
  baseline.folder = fs::absolute(file, error).parent_path().lexically_normal().string();
  if (const auto version = top.find("podsim_version"))
    baseline.podsim_version = version->text();
  if (const auto version = top.find("simgrid_version"))
    baseline.simgrid_version = version->text();
  if (const auto folders = top.find("folders"))
    baseline.folders = folders->texts();
  read_allowances(top, baseline.overall);
  check_warnings(top, baseline.overall, {});
  if (const auto improvements = top.find("improvements"))
    baseline.improvements = improvements->choice<Improvements>(
        {{"error", Improvements::error}, {"warning", Improvements::warning}, {"accept", Improvements::accept}});
  if (auto files = top.find("catalogue"))
    for (const std::string& name : files->keys())
      baseline.kept.catalogue[name] = read_texts(files->at(name));
  const auto program = top.find("program");
  if (program)
    for (const std::string& path : Reader(*program).keys())
      for (const std::string& value : Reader(*program).at(path).texts())
        baseline.kept.program[path].insert(value);
  bool has_results = false;
  std::set<std::pair<std::string, std::vector<std::string>>> met;
  if (const auto scenarios = top.find("scenarios")) {
    const std::vector<Reader> entries = scenarios->elements();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      baseline.entries.push_back(read_entry(entries[i], document.json->at("scenarios")[i], baseline, catalogue));
      const BaselineEntry& entry = baseline.entries.back();
      if (!met.emplace(entry.file, entry.changes).second)
        entries[i].fail(fmt::format("{} stands twice", printable(entry.scenario)));
      has_results = has_results || entry.results;
      if (entry.results && baseline.simgrid_version.empty())
        top.fail("there are results, but no \"simgrid_version\" that says what wrote them");
    }
  }
  top.finish();
  baseline.kept.program_missing = has_results && !program;
  if (baseline.entries.empty() && baseline.folders.empty())
    top.fail("names neither \"scenarios\" nor \"folders\"");
  return baseline;
}

std::string baseline_text(const Baseline& baseline)
{
  parse_json_file(baseline.file); // says what is wrong with it
  Ordered old           = Ordered::parse(std::ifstream(baseline.file));
  const Ordered written = old.contains("scenarios") ? old["scenarios"] : Ordered::array();

  Ordered scenarios = Ordered::array();
  for (const BaselineEntry& entry : baseline.entries) {
    Ordered json{{"scenario", entry.scenario}};
    for (const Ordered& one : written) // notes, changes and allowances stay
      if (one.is_object() && one.at("scenario") == entry.scenario) {
        if (changes_of(one.contains("set") ? Json(one.at("set")) : Json::object()) == entry.changes)
          json = one;
      }
    if (entry.results)
      json["results"] = to_json(*entry.results);
    scenarios.push_back(std::move(json));
  }
  Ordered catalogue = Ordered::object();
  for (const auto& [file, texts] : baseline.kept.catalogue)
    catalogue[file] = to_json(texts);
  Ordered program = Ordered::object();
  for (const auto& [path, values] : baseline.kept.program)
    program[path] = values;

  Ordered json{{"schema_version", baseline_schema_version},
               {"podsim_version", baseline.podsim_version},
               {"simgrid_version", baseline.simgrid_version}};
  for (const auto& [key, value] : old.items())
    if (!json.contains(key) && key != "scenarios" && key != "catalogue" && key != "program")
      json[key] = value;
  json["catalogue"] = std::move(catalogue);
  if (!baseline.kept.program_missing)
    json["program"] = std::move(program);
  json["scenarios"] = std::move(scenarios);
  std::string text;
  write(json, "", text);
  return text + "\n";
}

std::string from_folder(const Baseline& baseline, const std::string& file)
{
  return fs::path(file).lexically_relative(baseline.folder).generic_string();
}

Measured inputs_of(const Document& document, const Baseline& baseline)
{
  Measured measured;
  Values values(document, baseline, measured);
  values.collect(*document.json, "");
  for (const std::string& file : document.files)
    measured.files.push_back(values.named(file));
  std::sort(measured.files.begin(), measured.files.end());
  measured.files.erase(std::unique(measured.files.begin(), measured.files.end()), measured.files.end());
  return measured;
}

void add_results(const Evaluation& result, Measured& measured)
{
  measured.hash = result.hash;
  for (const Figure* figure : figures_in(Listing::gate))
    if (const auto value = json_value(*figure, result); value && result.metrics)
      measured.metrics.emplace_back(figure->json_name, *value);
  if (result.metrics)
    for (const auto& [name, time] : result.metrics->breakdowns[result.metrics->critical])
      measured.breakdown.emplace_back(name, time.value());
  for (const UsedConstant& constant : result.constants)
    if (constant.path.starts_with("program."))
      measured.program[constant.path] = constant.value;
}

} // namespace podsim
