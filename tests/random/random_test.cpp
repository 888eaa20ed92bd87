// A few hundred random scenarios, and all that ever failed. `podsim_random` draws any number.

#include "tests/random/draw.hpp"
#include "tests/random/judge.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

using namespace podsim::test;

namespace {

constexpr std::uint64_t draws = 300;
constexpr std::chrono::seconds at_most{40};

} // namespace

TEST_CASE("what must hold of every scenario holds of random ones", "[random]")
{
  const auto until   = std::chrono::steady_clock::now() + at_most;
  std::uint64_t seed = 1;
  std::size_t asked  = 0;
  for (; seed <= draws && std::chrono::steady_clock::now() < until; ++seed) {
    const std::vector<Case> cases       = drawn_cases(seed);
    const std::vector<Verdict> verdicts = judged(cases);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      asked += verdicts[i].kind == Verdict::Kind::passed_over ? 0 : 1;
      INFO("podsim_random --count 1 --seed " << seed << " --check \"" << cases[i].check << "\": " << verdicts[i].says);
      CHECK(verdicts[i].kind != Verdict::Kind::fails);
    }
  }
  INFO(seed - 1 << " draws");
  CHECK(asked > 50); // however slow the machine
}

TEST_CASE("random scenarios that failed once no longer do", "[random]")
{
  std::size_t cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PODSIM_SOURCE_DIR "/tests/random/cases")) {
    if (entry.path().extension() != ".json")
      continue;
    ++cases;
    std::ifstream stream(entry.path());
    const Case kept       = from_file(nlohmann::json::parse(stream));
    const Verdict verdict = judged(kept);
    INFO(entry.path().filename().string() << ": " << kept.check << ": " << verdict.says);
    CHECK(verdict.kind == Verdict::Kind::holds);
  }
  CHECK(cases > 0);
}

// Each file has a note of why.
TEST_CASE("what a fault puts out of step may be faster: true anomalies of shared links", "[random]")
{
  for (const auto& entry : std::filesystem::directory_iterator(PODSIM_SOURCE_DIR "/tests/random/anomalies")) {
    std::ifstream stream(entry.path());
    const Verdict verdict = judged(from_file(nlohmann::json::parse(stream)));
    INFO(entry.path().filename().string() << ": " << verdict.says);
    CHECK(verdict.kind == Verdict::Kind::anomaly);
  }
}

TEST_CASE("a seed gives the same draw again, and another another", "[random]")
{
  std::uint64_t seed = 1;
  while (drawn_cases(seed).empty())
    ++seed;
  CHECK(drawn_cases(seed).front().scenario == drawn_cases(seed).front().scenario);
  CHECK(draw_scenario(seed) != draw_scenario(seed + 1));
}
