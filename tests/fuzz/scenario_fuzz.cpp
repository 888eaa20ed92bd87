// Mutated scenarios through all of `podsim show`: JSON, references, reading, partitioning, the text that is printed.
// A complaint (InputError, CannotRun) is a good end; any other exception, a sanitizer's report, a figure that is no
// number, a hang or a leak is a bug. libFuzzer mutates; scenario_mutator.cpp teaches it JSON and the catalogue.

#include "scenarios/resolve.hpp"
#include "sim/app/overview.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

namespace fs = std::filesystem;

const fs::path root       = PODSIM_SOURCE_DIR;
const fs::path input_file = root / "scenarios/training/fuzzed.json"; // where the input is said to lie

// Whether a text of the input may name a file beside those of the catalogue, which a fuzzer has no business to read:
// devices and pipes are files too.
bool names_foreign_file(const Json& json, bool is_base = false)
{
  if (json.is_string()) {
    const auto name = json.get<std::string>();
    if (!is_base && !name.ends_with(".json"))
      return false;
    const fs::path within = (input_file.parent_path() / name).lexically_normal().lexically_relative(root);
    return within.empty() ||
           (*within.begin() != "scenarios" && *within.begin() != "models" && *within.begin() != "topologies");
  }
  if (json.is_structured())
    for (const auto& [key, child] : json.items())
      if (names_foreign_file(child, json.is_object() && key == "base"))
        return true;
  return false;
}

void require(bool holds, const char* what)
{
  if (holds)
    return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void check(const Overview& all)
{
  const auto sound = [](double value) { return std::isfinite(value) && value >= 0; };
  require(sound(all.model.parameters) && sound(all.flops.model()) && sound(all.flops.hardware()),
          "parameters and FLOPs are numbers");
  require(!all.description.memory || sound(all.description.memory->total().value()), "the memory is a number");
  require((all.description.status == "ok") == all.description.reason.empty(), "what cannot run has its reason");
  for (const BlockRow& block : all.blocks)
    for (const CollectiveRow& row : block.collectives)
      require(sound(row.full.value()) && sound(row.alone.value()), "sizes and times are numbers");
}

// As `podsim show` does it, except that large machines are not folded: that alone would take longer than all the rest.
void show(const std::string& text)
{
  static const Catalogue catalogue(root.string());
  constexpr std::int64_t many_devices = 1'024;

  Document document       = resolve_text(text, input_file.string(), catalogue);
  auto values             = resolved_values(document);
  const Prepared prepared = prepare(read_scenario(std::move(document)));
  const Scenario& s       = prepared.scenario;
  Overview all            = overview(prepared);
  if (s.machine.devices() <= many_devices)
    all.classes = fold(s.machine, s.placement, prepared.sharded.pipeline).classes;
  all.values = std::move(values);
  check(all);
  require(!to_text(all, Style(false)).empty(), "something is printed");
}

void check_complaint(const std::exception& complaint)
{
  require(std::string(complaint.what()).find(": ") != std::string::npos, "a complaint names its place");
}

} // namespace
} // namespace podsim

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  using namespace podsim;
  constexpr std::clock_t longest = 10 * CLOCKS_PER_SEC; // of the processor's time: whoever else is busy makes no hang
  const std::clock_t started     = std::clock();
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    if (names_foreign_file(parse_json(text, input_file.string())))
      return -1; // and is not kept for the corpus
    show(text);
  } catch (const InputError& complaint) {
    check_complaint(complaint);
  } catch (const CannotRun& complaint) {
    check_complaint(complaint);
  }
  require(std::clock() - started < longest, "nothing takes longer than 10 s");
  return 0;
}
