// libFuzzer's side of podsim_fuzz: finds the target, hands it inputs, and what all targets share.

#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <unistd.h>

extern "C" {
std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
}

namespace podsim::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::clock_t longest = 10 * CLOCKS_PER_SEC; // of the processor's time: whoever else is busy makes no hang

const Target* chosen = nullptr;

const Target* find_target()
{
  const char* name = std::getenv("PODSIM_FUZZ_TARGET");
  for (const Target* one :
       {&show_target, &run_target, &set_target, &study_target, &constraint_target, &baseline_target, &database_target})
    if (name && std::strcmp(name, one->name) == 0)
      return one;
  std::fprintf(stderr, "PODSIM_FUZZ_TARGET: there is no target \"%s\"\n", name ? name : "");
  std::exit(2);
}

std::size_t copied(const std::optional<std::string>& made, std::uint8_t* out, std::size_t room)
{
  if (!made || made->empty() || made->size() > room)
    return 0;
  std::memcpy(out, made->data(), made->size());
  return made->size();
}

std::string text_of(const std::uint8_t* data, std::size_t size)
{
  return {reinterpret_cast<const char*>(data), size};
}

bool is_file_name(const std::string& key)
{
  return key == "base" || key == "scenario" || key == "scenarios" || key == "folders";
}

bool leads_outside(const Json& json, const fs::path& folder, bool is_file)
{
  if (json.is_string()) {
    const auto name = json.get<std::string>();
    if (!is_file && !name.ends_with(".json"))
      return false;
    const fs::path within = (folder / name).lexically_normal().lexically_relative(source_folder());
    return within.empty() ||
           (*within.begin() != "scenarios" && *within.begin() != "models" && *within.begin() != "topologies");
  }
  if (json.is_structured())
    for (const auto& [key, child] : json.items())
      if (leads_outside(child, folder, json.is_object() ? is_file_name(key) : is_file))
        return true;
  return false;
}

} // namespace

std::size_t below(std::size_t bound, Random& random)
{
  return random() % bound;
}

void require(bool holds, const char* what)
{
  if (holds)
    return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

fs::path source_folder()
{
  return PODSIM_SOURCE_DIR;
}

const Catalogue& catalogue()
{
  static const Catalogue all(PODSIM_SOURCE_DIR);
  return all;
}

std::string scratch_file(const std::string& name)
{
  return (fs::temp_directory_path() / ("podsim-fuzz-" + std::to_string(getpid()) + "-" + name)).string();
}

void write_scratch(const std::string& file, const std::string& bytes)
{
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream << bytes;
  require(static_cast<bool>(stream.flush()), "there is room for a temporary file");
}

bool names_foreign_file(const Json& json, const fs::path& file)
{
  return leads_outside(json, file.parent_path(), false);
}

} // namespace podsim::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***)
{
  podsim::fuzz::chosen = podsim::fuzz::find_target();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  using namespace podsim;
  using namespace podsim::fuzz;
  const std::clock_t started = std::clock();
  const auto complained      = [](const std::exception& complaint) {
    require(std::strstr(complaint.what(), ": ") != nullptr, "a complaint names its place");
  };
  bool kept = true;
  try {
    kept = chosen->run(text_of(data, size));
  } catch (const InputError& complaint) {
    complained(complaint);
  } catch (const CannotRun& complaint) {
    complained(complaint);
  }
  require(std::clock() - started < longest, "nothing takes longer than 10 s");
  return kept ? 0 : -1;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed)
{
  using namespace podsim::fuzz;
  Random random(seed);
  if (below(32, random) > 0)
    if (const std::size_t length = copied(chosen->mutated(text_of(data, size), random), data, max_size))
      return length;
  return LLVMFuzzerMutate(data, size, max_size);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* data1, std::size_t size1,
                                                 const std::uint8_t* data2, std::size_t size2, std::uint8_t* out,
                                                 std::size_t max_out, unsigned seed)
{
  using namespace podsim::fuzz;
  Random random(seed);
  return copied(chosen->crossed(text_of(data1, size1), text_of(data2, size2), random), out, max_out);
}
