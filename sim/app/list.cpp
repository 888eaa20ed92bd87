#include "scenarios/catalogue.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/reader.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

const std::vector<std::pair<std::string, Shelf>>& shelves()
{
  static const std::vector<std::pair<std::string, Shelf>> names{
      {"models", Shelf::models},       {"chips", Shelf::chips},    {"machines", Shelf::machines},
      {"shardings", Shelf::shardings}, {"remats", Shelf::remats},  {"software", Shelf::software},
      {"scenarios", Shelf::scenarios}, {"studies", Shelf::studies}};
  return names;
}

int list(const std::string& what)
{
  const Catalogue catalogue = Catalogue::beside_program();
  std::vector<std::pair<std::string, std::string>> rows;
  std::size_t width = 0;
  for (const auto& [name, shelf] : shelves())
    if (name == what)
      for (const std::string& entry : catalogue.names(shelf)) {
        const Json json  = parse_json_file(catalogue.file(shelf, entry));
        const bool named = json.is_object() && json.contains("name") && json["name"].is_string();
        rows.emplace_back(Catalogue::short_name(shelf, entry), named ? printable(json["name"].get<std::string>()) : "");
        width = std::max(width, rows.back().first.size());
      }
  std::sort(rows.begin(), rows.end());
  Page text;
  for (const auto& [entry, label] : rows)
    text += lay("{:<{}}  {}\n", entry, width, label);
  print(text);
  return exit_done;
}

} // namespace

Action setup_list(CLI::App& command)
{
  auto what = std::make_shared<std::string>();
  std::vector<std::string> names;
  for (const auto& [name, shelf] : shelves())
    names.push_back(name);
  command.add_option("WHAT", *what, "models, chips, machines, shardings, remats, software, scenarios or studies")
      ->required()
      ->check(one_of(names));
  return [what] { return list(*what); };
}

} // namespace podsim
