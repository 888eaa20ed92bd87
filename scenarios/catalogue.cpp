#include "scenarios/catalogue.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

namespace fs = std::filesystem;

const char* folder(Shelf shelf)
{
  switch (shelf) {
  case Shelf::models:
    return "models";
  case Shelf::chips:
    return "topologies/chips";
  case Shelf::machines:
    return "topologies/machines";
  case Shelf::shardings:
    return "scenarios/shardings";
  case Shelf::remats:
    return "scenarios/remats";
  case Shelf::software:
    return "scenarios/software";
  case Shelf::scenarios:
    return "scenarios";
  }
  return "";
}

bool is_part(const std::string& name) // folders below scenarios/ that hold parts of scenarios or studies of them
{
  return name.starts_with("shardings/") || name.starts_with("remats/") || name.starts_with("software/") ||
         name.starts_with("studies/") || name.find('/') == std::string::npos;
}

} // namespace

struct Catalogue::Kept {
  std::map<Shelf, std::vector<std::string>> names;
  std::map<std::string, Json> files; // those below the root
};

Catalogue::Catalogue(std::string root) : root_(std::move(root)), kept_(std::make_shared<Kept>()) {}

Catalogue Catalogue::beside_program()
{
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& root : {folder / "../share/podsim", folder / "../.."})
    if (fs::is_directory(root / "topologies/chips", error))
      return Catalogue(fs::weakly_canonical(root).string());
  throw InputError("the catalogue of models and machines is missing: expected it in " +
                   (folder / "../share/podsim").lexically_normal().string());
}

std::vector<std::string> Catalogue::names(Shelf shelf) const
{
  const auto [known, unlisted]  = kept_->names.try_emplace(shelf);
  std::vector<std::string>& all = known->second;
  if (!unlisted)
    return all;
  const std::string root = (fs::path(root_) / folder(shelf)).string() + "/";
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(root, error)) {
    if (entry.path().extension() != ".json")
      continue;
    std::string name = entry.path().string().substr(root.size());
    name.resize(name.size() - std::string_view(".json").size());
    if (shelf != Shelf::scenarios || !is_part(name))
      all.push_back(std::move(name));
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::string Catalogue::file(Shelf shelf, const std::string& name) const
{
  return (fs::path(root_) / folder(shelf) / (name + ".json")).string();
}

std::string Catalogue::within(const std::string& file) const
{
  const fs::path relative = fs::path(file).lexically_relative(root_);
  return relative.empty() || *relative.begin() == ".." ? file : relative.generic_string();
}

Json Catalogue::read(const std::string& file) const
{
  if (!file.starts_with(root_ + "/"))
    return parse_json_file(file);
  auto known = kept_->files.find(file);
  if (known == kept_->files.end())
    known = kept_->files.emplace(file, parse_json_file(file)).first;
  return known->second;
}

} // namespace podsim
