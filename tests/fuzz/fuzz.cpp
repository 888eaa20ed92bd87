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
#include <sanitizer/lsan_interface.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
// How often each edge was passed, as the linker names the section in which Clang counts it.
extern std::uint8_t counters_begin[] __asm__("__start___sancov_cntrs") __attribute__((visibility("hidden")));
extern std::uint8_t counters_end[] __asm__("__stop___sancov_cntrs") __attribute__((visibility("hidden")));
}

namespace podsim::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::clock_t longest = 10 * CLOCKS_PER_SEC; // of the processor's time: whoever else is busy makes no hang
constexpr rlim_t longest_child = 30;                  // seconds of the same
constexpr int looked_for_leaks = 16;                  // children of which one looks for leaks: that takes half its time

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

void in_child(const std::function<void()>& work)
{
  const auto size          = static_cast<std::size_t>(counters_end - counters_begin);
  static void* const their = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(their != MAP_FAILED, "there is memory to share with a child");
  std::fflush(nullptr);
  static int children = 0;
  ++children;
  const pid_t child = fork();
  require(child >= 0, "a process can be started");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit limit{longest_child, longest_child};
    setrlimit(RLIMIT_CPU, &limit);
    work();                               // what it throws aborts
    if (children % looked_for_leaks == 1) // the first of a process is
      require(__lsan_do_recoverable_leak_check() == 0, "a child leaks nothing");
    std::memcpy(their, counters_begin, size);
    _exit(EXIT_SUCCESS);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  require(!WIFSIGNALED(status) || (WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGXCPU),
          "nothing takes a child longer than 30 s, nor more memory than there is");
  require(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS, "a child ends well");
  std::transform(counters_begin, counters_end, static_cast<const std::uint8_t*>(their), counters_begin,
                 [](std::uint8_t own, std::uint8_t other) { return std::max(own, other); });
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
