// Scenarios read again in part, against each read alone.

#include "scenarios/variants.hpp"

#include "reports/json.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "tests/random/dice.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace podsim;
using Changes = std::vector<std::string>;

namespace {

// All that podsim says of a scenario, or what is wrong with it.
template <class Read> std::string told(const Read& read)
{
  try {
    SimulationOptions quick;
    quick.granularity   = Granularity::collective;
    Evaluation all      = evaluate(read(), {.simulation = quick});
    all.simulation.wall = {};
    return to_json(all);
  } catch (const InputError& wrong) {
    return wrong.what();
  } catch (const CannotRun& wrong) {
    return std::string("cannot run: ") + wrong.what();
  }
}

} // namespace

TEST_CASE("a variant is what its scenario is alone, in any order, mistakes included")
{
  const Catalogue catalogue(PODSIM_SOURCE_DIR);
  const std::string folder = std::string(PODSIM_SOURCE_DIR) + "/scenarios/";
  // For each scenario paths and what may be set there: plain values, names, objects, nothing, nonsense.
  using Pool = std::vector<std::pair<std::string, Changes>>;
  const Pool of_all{{"machine.dcn.latency", {"1 us", "20 us", "fast"}},
                    {"workload.sequence", {"1024", "2048", "0", "many"}},
                    {"workload.batch", {"512", "1024", "1000"}},
                    {"workload.remat", {"full", "none", R"({"base": "none", "keep": "inputs"})"}},
                    {"workload.remat.keep", {"inputs", "all", "some"}},
                    {"model.layers", {"48", "118", "7.5"}},
                    {"model.heads", {"48", "96"}},
                    {"machine.chip.hbm_capacity", {"32 GiB", "1 GiB", R"({"value": "80 GB", "source": "a guess"})"}},
                    {"name", {"mine", "yours"}},
                    {"software.no_such_key", {"1"}}};
  const std::vector<std::pair<std::string, Pool>> scenarios{
      {"training/palm-540b.json",
       {{"machine.ici.link_bandwidth", {"40 GB/s", "50 GB/s", "50"}},
        {"machine.chip.hbm_bandwidth", {"1000 GB/s", "1.2 TB/s"}},
        {"mesh.model.size", {"12", "6"}},
        {"machine.pods", {"1", "2", "3"}},
        {"sharding", {"gspmd-2d", "fsdp", R"({"base": "gspmd-2d"})"}}}},
      {"training/a100/korthikanti22-22b-full.json",
       {{"workload.micro_batch", {"1", "2", "4", "3"}},
        {"machine.host.nic_bandwidth", {"200 Gb/s", "25 GB/s", "null"}},
        {"machine.nodes", {"1", "2"}},
        {"software", {"megatron-2022", "megatron-2021", "nothing"}},
        {"model.vocabulary", {"51200", "50000"}}}},
      {"faults/palm-540b-straggler.json",
       {{"faults.chips", {R"([{"at": 7, "compute": 0.5}])", "null"}}, {"machine.host.nic_bandwidth", {"40 Gb/s"}}}}};
  test::Dice dice(7);
  int sound = 0, wrong = 0;
  for (const auto& [name, own] : scenarios) {
    Variants variants(catalogue);
    Pool pool = of_all;
    pool.insert(pool.end(), own.begin(), own.end());
    Changes changes;
    const int count = name.starts_with("faults/") ? 12 : 200; // its simulation is slow
    for (int i = 0; i < count; ++i) {
      // Mostly one value is another than before.
      const auto& [path, values] = dice.one_of(pool);
      const std::string change   = path + "=" + dice.one_of(values);
      const auto same_path       = std::find_if(changes.begin(), changes.end(),
                                                [&](const std::string& one) { return one.starts_with(path + "="); });
      if (same_path != changes.end() && dice.chance(0.75))
        *same_path = change;
      else
        changes.push_back(change);
      if (changes.size() > 4)
        changes.erase(changes.begin() + dice.integer(0, 4));
      CAPTURE(name, changes);
      const std::string file  = folder + name;
      const Document& variant = variants.resolve(file, changes);
      const Document alone    = resolve(file, changes, catalogue);
      REQUIRE(variant.json->dump() == alone.json->dump());
      const std::string expected = told([&] { return read_scenario(resolve(file, changes, catalogue)); });
      REQUIRE(told([&] { return variants.read(); }) == expected);
      ++(expected.starts_with("{") ? sound : wrong);
    }
  }
  // A path without a value is none of the changes that give it one.
  Variants variants(catalogue);
  variants.resolve(folder + "training/palm-540b.json", {"workload.batch=512"});
  CHECK(variants.resolve(folder + "training/palm-540b.json", {"workload.batch"}).mistakes.size() == 1);
  CHECK(told([&] { return variants.read(); }) == told([&] {
          return read_scenario(resolve(folder + "training/palm-540b.json", {"workload.batch"}, catalogue));
        }));
  CAPTURE(sound, wrong);
  CHECK(sound > 50);
  CHECK(wrong > 50);
}
