#include "scenarios/catalogue.hpp"

#include "sim/core/input.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <mutex>
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
  case Shelf::studies:
    return "scenarios/studies";
  }
  return "";
}

bool is_part(const std::string& name) // folders below scenarios/ that hold parts of scenarios or studies of them
{
  return name.starts_with("shardings/") || name.starts_with("remats/") || name.starts_with("software/") ||
         name.starts_with("studies/") || name.find('/') == std::string::npos;
}

constexpr std::string_view training = "training/"; // need not be said

std::string without(std::string name, std::string_view prefix, std::string_view suffix)
{
  if (name.starts_with(prefix))
    name.erase(0, prefix.size());
  if (name.ends_with(suffix))
    name.resize(name.size() - suffix.size());
  return name;
}

} // namespace

struct Catalogue::Kept {
  std::mutex mutex;
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
  const std::lock_guard lock(kept_->mutex);
  const auto [known, unlisted]  = kept_->names.try_emplace(shelf);
  std::vector<std::string>& all = known->second;
  if (!unlisted)
    return all;
  const std::string root = (fs::path(root_) / folder(shelf)).string() + "/";
  for (const std::string& file : json_files_below(root)) {
    std::string name = without(file.substr(root.size()), "", ".json");
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

std::vector<std::string> Catalogue::short_names(Shelf shelf) const
{
  std::vector<std::string> all = names(shelf);
  for (std::string& name : all)
    name = short_name(shelf, name);
  std::sort(all.begin(), all.end());
  return all;
}

std::string Catalogue::short_name(Shelf shelf, const std::string& name)
{
  return shelf == Shelf::scenarios ? without(name, training, "") : name;
}

std::string Catalogue::find(Shelf shelf, const std::string& name, const std::string& beside) const
{
  std::string here = beside.empty() ? name : (fs::path(folder_of(beside)) / name).lexically_normal().string();
  std::error_code error;
  if (name.empty() || name == "-" || fs::is_regular_file(here, error))
    return here;
  if (std::string file = here + ".json"; fs::is_regular_file(file, error) && !fs::equivalent(file, beside, error))
    return file;
  const std::vector<std::string> known = names(shelf);
  for (const std::string& full : {std::string(training) + name, name})
    if (std::binary_search(known.begin(), known.end(), full))
      return file(shelf, full);
  if (fs::exists(here, error)) // a pipe; or a folder, of which the reader says so
    return here;
  const bool path = name.ends_with(".json") || name.find('/') != std::string::npos;
  throw InputError(fmt::format("{}: there is no such {}{}", here,
                               path                        ? "file"
                               : shelf == Shelf::scenarios ? "scenario"
                                                           : "study",
                               nearest(shelf, name, here)));
}

// Of the JSON files in the folder where it was looked for, and of the catalogue.
std::string Catalogue::nearest(Shelf shelf, const std::string& name, const std::string& missing) const
{
  const fs::path folder = fs::path(missing).parent_path();
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, error))
    if (entry.path().extension() == ".json")
      files.push_back(entry.path().filename().string());
  std::sort(files.begin(), files.end());
  const std::vector<std::string> known = short_names(shelf);
  // As the catalogue lies in a checkout: scenarios/training/palm-540b.json.
  const std::string bare = without(without(without(name, "scenarios/", ".json"), training, ""), "studies/", "");
  for (const std::string& one : known)
    if (one == bare || one.ends_with("/" + bare))
      return did_you_mean(one, {one});
  const std::string file  = did_you_mean(fs::path(missing).filename().string(), files);
  const std::string named = did_you_mean(bare, known);
  return (name.ends_with(".json") ? !file.empty() : named.empty()) ? file : named;
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
  const std::lock_guard lock(kept_->mutex);
  auto known = kept_->files.find(file);
  if (known == kept_->files.end())
    known = kept_->files.emplace(file, parse_json_file(file)).first;
  return known->second;
}

} // namespace podsim
