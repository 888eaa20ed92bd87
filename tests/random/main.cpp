// Draws scenarios and asks of each what must hold of all. What fails is made small and kept as a file.
//
//     podsim_random --count 20000 --seed 1 --keep FOLDER
//     podsim_random FOLDER/*.json                          # judges kept cases again, and says where they differ first

#include "sim/core/errors.hpp"
#include "tests/random/judge.hpp"
#include "tests/random/minimise.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <map>

namespace podsim::test {
namespace {

using nlohmann::json;

struct Options {
  std::uint64_t count = 1000, seed = 1;
  std::string check, keep;
  std::size_t kept_each     = 3;  // of a check and kind
  std::int64_t minimise_for = 60; // seconds a case
  bool refusals             = false;
  std::vector<std::string> files;
};

// Counts of one check on one kind of scenario.
struct Tally {
  std::size_t asked = 0, failed = 0, anomalies = 0;
};

std::string kind_of(const json& scenario)
{
  const std::string machine = scenario.at("machine").contains("nvlink") ? "nodes" : "torus";
  const std::string faults  = scenario.contains("faults") ? ", faults" : "";
  const bool stages         = scenario.contains("pipeline");
  return (stages ? scenario["pipeline"]["schedule"].get<std::string>() : "no stages") + " on " + machine + faults;
}

void print_tallies(const std::map<std::string, std::map<std::string, Tally>>& tallies)
{
  for (const Check& check : checks()) {
    const auto found = tallies.find(check.name);
    if (found == tallies.end())
      continue;
    Tally all;
    std::string parts;
    for (const auto& [kind, tally] : found->second) {
      all.asked += tally.asked;
      all.failed += tally.failed;
      all.anomalies += tally.anomalies;
      if (tally.failed > 0 || &check == &checks().front())
        parts += fmt::format("      {:<34}{:>6} of {}\n", kind, tally.failed, tally.asked);
    }
    fmt::print("  {:<36}{:>6} of {} failed{}\n{}", check.name, all.failed, all.asked,
               all.anomalies > 0 ? fmt::format(", and {} anomalies of shared links", all.anomalies) : "", parts);
  }
  std::fflush(stdout);
}

class Campaign {
public:
  explicit Campaign(const Options& options) : options_(options) {}

  int run()
  {
    for (std::uint64_t seed = options_.seed; seed < options_.seed + options_.count; ++seed) {
      draw(seed);
      if (const std::uint64_t done = seed + 1 - options_.seed; done % 1000 == 0) {
        fmt::print("after {} draws, {} of them refused:\n", done, refused_);
        print_tallies(tallies_);
      }
    }
    fmt::print("{} draws, {} of them refused:\n", options_.count, refused_);
    print_tallies(tallies_);
    for (const auto& [why, times] : refusals_)
      fmt::print("  {:>6} {}\n", times, why);
    return failed_ == 0 ? 0 : 1;
  }

private:
  void draw(std::uint64_t seed)
  {
    std::string refused;
    const std::vector<Case> cases = drawn_cases(seed, options_.check, &refused);
    refused_ += refused.empty() ? 0 : 1;
    if (options_.refusals && !refused.empty())
      ++refusals_[refused];
    const std::vector<Verdict> verdicts = judged(cases);
    for (std::size_t i = 0; i < cases.size(); ++i)
      count(cases[i], verdicts[i], seed);
  }

  void count(const Case& drawn, const Verdict& verdict, std::uint64_t seed)
  {
    if (verdict.kind == Verdict::Kind::passed_over)
      return;
    const std::string kind = kind_of(drawn.scenario);
    Tally& tally           = tallies_[drawn.check][kind];
    ++tally.asked;
    if (verdict.kind == Verdict::Kind::anomaly) {
      ++tally.anomalies;
      fmt::print("seed {}: {} ({}): an anomaly: {}\n", seed, drawn.check, kind, verdict.says);
    }
    if (verdict.kind != Verdict::Kind::fails)
      return;
    ++tally.failed;
    ++failed_;
    fmt::print("seed {}: {} ({}): {}\n", seed, drawn.check, kind, verdict.says);
    std::fflush(stdout);
    if (!options_.keep.empty() && tally.failed <= options_.kept_each)
      keep(drawn, verdict.says.starts_with("crash"), seed);
  }

  void keep(const Case& drawn, bool crash, std::uint64_t seed) const
  {
    const auto same_way = [&](const Case& c) {
      Verdict own = judged(c);
      if (own.says.starts_with("crash") != crash)
        own.kind = Verdict::Kind::holds;
      return own;
    };
    const Case small = minimised(drawn, same_way, std::chrono::seconds(options_.minimise_for));
    std::string name = drawn.check;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == ' ' || c == ','; }, '-');
    const auto file = std::filesystem::path(options_.keep) / fmt::format("{}-{}.json", name, seed);
    std::filesystem::create_directories(options_.keep);
    std::ofstream(file) << to_file(small, judged(small)).dump(2) << "\n";
  }

  const Options& options_;
  std::map<std::string, std::map<std::string, Tally>> tallies_; // by check and kind
  std::map<std::string, std::size_t> refusals_;
  std::uint64_t refused_ = 0, failed_ = 0;
};

int judge_again(const std::vector<std::string>& files)
{
  std::size_t failed = 0;
  for (const std::string& file : files) {
    std::ifstream stream(file);
    const Case c          = from_file(json::parse(stream));
    const Verdict verdict = judged(c);
    const char* words[]   = {"holds", "fails", "passed over", "is an anomaly:"};
    fmt::print("{}: {} {} {}\n", file, c.check, words[static_cast<int>(verdict.kind)], verdict.says);
    if (verdict.kind != Verdict::Kind::fails)
      continue;
    ++failed;
    try {
      for (const std::string& line : first_differences(c))
        fmt::print("    {}\n", line);
    } catch (const std::exception& bug) {
      fmt::print("    {}\n", bug.what());
    }
  }
  return failed == 0 ? 0 : 1;
}

} // namespace
} // namespace podsim::test

int main(int argc, char** argv)
{
  using namespace podsim::test;
  Options options;
  CLI::App app("Draws scenarios at random and asks of each what must hold of all.");
  app.add_option("--count", options.count, "how many")->envname("PODSIM_RANDOM_COUNT")->capture_default_str();
  app.add_option("--seed", options.seed, "of the first")->envname("PODSIM_RANDOM_SEED")->capture_default_str();
  app.add_option("--check", options.check, "ask only this")->envname("PODSIM_RANDOM_CHECK");
  app.add_option("--keep", options.keep, "a folder for what fails, made small")->envname("PODSIM_RANDOM_KEEP");
  app.add_option("--kept-each", options.kept_each, "so many of each check and kind")->capture_default_str();
  app.add_option("--minimise-for", options.minimise_for, "seconds for each")->capture_default_str();
  app.add_flag("--refusals", options.refusals, "say why draws were refused");
  app.add_option("FILE", options.files, "kept cases to judge again");
  CLI11_PARSE(app, argc, argv);
  try {
    if (!options.check.empty())
      check_called(options.check);
    return options.files.empty() ? Campaign(options).run() : judge_again(options.files);
  } catch (const std::exception& wrong) {
    fmt::print(stderr, "podsim_random: {}\n", wrong.what());
    return 2;
  }
}
