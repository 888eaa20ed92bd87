#include "sim/studies/expansion.hpp"

#include "scenarios/scenario.hpp"
#include "sim/core/input.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace podsim {

Expansion expand(const Sweep& sweep, const Shard& shard, SweepScenarios& scenarios)
{
  Expansion all;
  all.study   = {.name     = sweep.name,
                 .text     = sweep.text,
                 .digest   = {},
                 .version  = results_version(),
                 .shard    = shard.number,
                 .shards   = shard.count,
                 .left_out = std::vector<std::size_t>(sweep.constraints.size(), 0)};
  Json hashes = Json::array();
  for (std::size_t number = 0; number < sweep.size(); ++number) {
    const Combination one    = combination(sweep, number);
    const Document& document = scenarios.resolve(one);
    if (const int unmet = unmet_constraint(sweep, one, document, scenarios.study()); unmet >= 0) {
      ++all.study.left_out[static_cast<std::size_t>(unmet)];
      continue;
    }
    Json settings = Json::object();
    for (std::size_t i = 0; i < sweep.axes.size(); ++i)
      settings[sweep.axes[i].name] = one.labels[i];
    const bool mine =
        all.combinations.size() % static_cast<std::size_t>(shard.count) == static_cast<std::size_t>(shard.number - 1);
    all.combinations.push_back(
        {number, content_hash(document), settings.dump(-1, ' ', false, Json::error_handler_t::replace), mine});
    hashes.push_back(all.combinations.back().hash);
  }
  if (all.combinations.empty())
    throw InputError(fmt::format("{}: its constraints leave no combination", scenarios.study()));
  Document digested;
  *digested.json   = Json{{"study", parse_json(sweep.text, scenarios.study())}, {"scenarios", std::move(hashes)}};
  all.study.digest = content_hash(digested);
  return all;
}

std::string reason_alone(std::string reason, const Combination& combination, SweepScenarios& scenarios)
{
  std::vector<std::string> prefixes{scenarios.study() + ": ", scenarios.file_of(combination) + ": "};
  for (const std::string& change : combination.changes)
    prefixes.push_back("--set " + printable(change) + ": ");
  for (const std::string& prefix : prefixes)
    if (reason.starts_with(prefix))
      reason.erase(0, prefix.size());
  return reason;
}

void check_readable(const Sweep& sweep, const Expansion& all, SweepScenarios& scenarios)
{
  std::size_t stride = sweep.size(); // between combinations that differ in the axis alone
  for (const SweepAxis& axis : sweep.axes) {
    stride /= axis.values.size();
    for (std::size_t i = 0; i < axis.values.size(); ++i) {
      const Combination one = combination(sweep, i * stride);
      try {
        scenarios.read(one);
      } catch (const MisreadError& wrong) {
        const std::string text = wrong.what();
        const bool own =
            std::any_of(axis.values[i].changes.begin(), axis.values[i].changes.end(),
                        [&](const auto& set) { return text.starts_with("--set " + printable(set) + ": "); });
        throw InputError(own ? fmt::format("{}: {} \"{}\": {}", scenarios.study(), axis.name,
                                           printable(axis.values[i].label), reason_alone(text, one, scenarios))
                             : fmt::format("{}: {}", scenarios.study(), text));
      } catch (const std::runtime_error&) { // what it is together with the first values of the others
      }
    }
  }
  std::string first;
  for (const StoredCombination& stored : all.combinations)
    try {
      scenarios.read(combination(sweep, stored.number));
      return;
    } catch (const InputError& wrong) {
      if (first.empty())
        first = reason_alone(wrong.what(), combination(sweep, stored.number), scenarios);
    } catch (const CannotRun&) {
      return;
    }
  throw InputError(fmt::format("{}: {}", scenarios.study(), first));
}

} // namespace podsim
