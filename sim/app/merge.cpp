#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/input.hpp"
#include "sim/jobs/signals.hpp"
#include "sim/studies/store.hpp"
#include "sim/studies/sweep.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <set>

namespace podsim {
namespace {

namespace fs = std::filesystem;

struct MergeOptions {
  std::vector<std::string> shards;
  std::string target;
  bool quiet = false;
};

// Shards of one study, run by one version.
void check_alike(const std::string& file, const StoredStudy& study, const std::string& first_file,
                 const StoredStudy& first)
{
  if (study.version != first.version)
    throw InputError(fmt::format("{}: is of podsim {}, {} of {}; run all shards with one version", file, study.version,
                                 first_file, first.version));
  if (study.digest != first.digest)
    throw InputError(
        study.name != first.name
            ? fmt::format("{}: is of the study \"{}\", {} of \"{}\"", file, printable(study.name), first_file,
                          printable(first.name))
            : fmt::format("{}: the study, or a file that its scenarios are made of, is not as it was for {}", file,
                          first_file));
  if (study.shards != first.shards)
    throw InputError(fmt::format("{}: is shard {} of {}, {} is one of {}", file, study.shard, study.shards, first_file,
                                 first.shards));
}

// A database that appears under its name when it is whole. One that is there already takes the shards in, in one step.
class Target {
public:
  explicit Target(const std::string& file)
      : file_(followed(file)), fresh_(!input_exists(file_)), name_(fresh_ ? name_beside(file_) : file_),
        store_(std::make_unique<Store>(Store::to_write(name_, complain)))
  {
  }
  ~Target()
  {
    store_.reset();
    std::error_code error;
    if (fresh_)
      fs::remove(name_, error);
  }
  Target(const Target&)            = delete;
  Target& operator=(const Target&) = delete;

  Store& store() { return *store_; }
  void keep()
  {
    store_.reset();
    std::error_code error;
    if (fresh_)
      fs::rename(name_, file_, error);
    if (error)
      throw InputError(fmt::format("{}: cannot be written: {}", file_, error.message()));
    fresh_ = false;
  }

private:
  std::string file_;
  bool fresh_;
  std::string name_;
  std::unique_ptr<Store> store_;
};

void join(const std::vector<Store>& shards, const StoredStudy& study,
          const std::vector<StoredCombination>& combinations, Store& target)
{
  target.together([&] {
    target.begin(study, combinations);
    for (const Store& shard : shards) {
      target.take(shard, study.version);
      if (DeferredSignals::any_pending())
        throw Interrupted{};
    }
  });
}

int merge(const MergeOptions& options)
{
  std::vector<Store> shards;
  std::set<int> present;
  for (const std::string& file : options.shards) {
    std::error_code error;
    if (fs::equivalent(file, options.target, error))
      throw InputError(fmt::format("--db {}: is one of the shards", options.target));
    shards.push_back(Store::to_read(file));
    check_alike(file, shards.back().study(), options.shards.front(), shards.front().study());
    present.insert(shards.back().study().shard);
  }
  StoredStudy study = shards.front().study();
  const int count   = study.shards;
  study.shard       = 1;
  study.shards      = 1;
  auto combinations = shards.front().combinations();
  for (StoredCombination& one : combinations)
    one.mine = true;
  const DeferredSignals until_kept;
  Target target(options.target);
  join(shards, study, combinations, target.store());
  const auto results = target.store().results(study.version);
  target.keep();
  const auto missing = std::count_if(combinations.begin(), combinations.end(),
                                     [&](const StoredCombination& one) { return !results.contains(one.hash); });
  std::vector<int> absent;
  for (int shard = 1; shard <= count; ++shard)
    if (!present.contains(shard))
      absent.push_back(shard);
  if (missing == 0) {
    if (!options.quiet)
      print(lay("merged {} combinations of \"{}\" into {}\n", combinations.size(), printable(study.name),
                options.target));
    return exit_done;
  }
  complain(fmt::format("{}: {} of {} combinations have not run{}; podsim sweep STUDY --db {} runs them", options.target,
                       missing, combinations.size(),
                       absent.empty() ? "" : fmt::format(" (missing: shard {} of {})", fmt::join(absent, ", "), count),
                       options.target));
  return exit_cannot_run;
}

} // namespace

Action setup_merge(CLI::App& command)
{
  auto options = std::make_shared<MergeOptions>();
  command.add_option("SHARD", options->shards, "files that podsim sweep --shard has written")->required();
  add_file(command, "--db", options->target, "the file that the shards are joined in");
  command.get_option("--db")->required();
  command.add_flag("--quiet", options->quiet, "no message when all is well");
  return [options] { return merge(*options); };
}

} // namespace podsim
