#include "tests/bench/figures.hpp"

#include "sim/jobs/fleet.hpp"
#include "tests/bench/child.hpp"
#include "tests/bench/heap_replay.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace podsim::bench {
namespace {

using Changes = std::vector<std::string>;

constexpr int many = 101; // repetitions of what takes less than a millisecond,
constexpr int some = 51;  // a few milliseconds,
constexpr int few  = 9;   // longer

const std::string palm   = PODSIM_SOURCE_DIR "/scenarios/training/palm-540b.json";
const std::string mt_nlg = PODSIM_SOURCE_DIR "/scenarios/training/a100/mtnlg530-2240.json";

const Changes palm_on_32_pods{"machine.pods=32", "mesh.pod.size=32", "workload.batch=32768"};

const Catalogue& catalogue()
{
  static const Catalogue all(PODSIM_SOURCE_DIR);
  return all;
}

Scenario scenario_of(const std::string& file, const Changes& changes = {})
{
  return read_scenario(resolve(file, changes, catalogue()));
}

class Figures {
public:
  nlohmann::ordered_json all()
  {
    memory(); // first, as long as this process is small: see run_podsim()
    preparation();
    heap();
    simulations();
    sweep();
    gate();
    scale();
    return std::move(json_);
  }

private:
  void put(const std::string& name, double value)
  {
    fmt::print("{:<28} {:>12.5g}\n", name, value);
    json_[name] = value;
  }

  template <class Work> static double least_of(int times, const Work& work)
  {
    double least = work();
    for (int i = 1; i < times; ++i)
      least = std::min(least, work());
    return least;
  }

  void memory()
  {
    Changes on_32_pods{"run", palm, "--quiet"};
    for (const std::string& change : palm_on_32_pods)
      on_32_pods.insert(on_32_pods.end(), {"--set", change});
    put("palm_peak_mb", run_podsim({"run", palm, "--quiet"}).peak_mb);
    put("pods32_peak_mb", run_podsim(on_32_pods).peak_mb);
    put("mtnlg_peak_mb", run_podsim({"run", mt_nlg, "--quiet"}).peak_mb);
    put("process_auto_ms", 1e3 * least_of(few, [] { return run_podsim({"run", palm, "--quiet"}).seconds; }));
  }

  void preparation()
  {
    const Scenario scenario = scenario_of(palm); // the catalogue has been read
    put("resolve_ms", 1e3 * least_of(many, [] { return seconds_of([] { scenario_of(palm); }); }));
    put("prepare_ms", 1e3 * least_of(many, [&] { return seconds_of([&] { prepare(scenario); }); }));
  }

  // The simulation beside the bare loop over the same events, each in a process forked for it.
  void heap()
  {
    const Scenario scenario   = scenario_of(palm);
    const Prepared prepared   = prepare(scenario);
    const TimedProgram timed  = timed_program(prepared, Granularity::chunk);
    const HeapProgram program = heap_program(prepared.sharded, timed, scenario.machine);
    const Trace trace         = simulate(prepared.sharded, timed, scenario.machine, scenario.placement,
                                         {.granularity = Granularity::chunk, .explicit_devices = false, .progress = {}});
    const Ticks end           = std::llround(trace.end.value() * ticks_per_second);
    if (const Ticks own = replay(program, program.waits); own != end)
      throw std::logic_error(fmt::format("the heap's loop ends after {} ticks, the simulation after {}", own, end));

    double loop      = std::numeric_limits<double>::infinity();
    double warm      = loop; // in this process, whose memory and caches hold all that the loop needs
    Sample automatic = simulate_in_child(scenario, Granularity::automatic);
    Sample chunk     = simulate_in_child(scenario, Granularity::chunk);
    for (int i = 0; i < some; ++i) {
      least(automatic, simulate_in_child(scenario, Granularity::automatic));
      std::vector<std::int32_t> waits = program.waits;
      loop  = std::min(loop, in_child([&](Sample&) { replay(program, std::move(waits)); }).inside);
      waits = program.waits;
      warm  = std::min(warm, seconds_of([&] { replay(program, std::move(waits)); }));
      if (i < few)
        least(chunk, simulate_in_child(scenario, Granularity::chunk));
    }
    if (chunk.activities > static_cast<std::int64_t>(program.events.size()))
      throw std::logic_error("the heap's loop does less than the simulation");
    put("heap_events", static_cast<double>(program.events.size()));
    put("palm_chunk_activities", static_cast<double>(chunk.activities));
    put("heap_ms", 1e3 * loop);
    put("heap_warm_ms", 1e3 * warm);
    put("palm_auto_ms", 1e3 * automatic.inside);
    put("palm_auto_with_fork_ms", 1e3 * automatic.around);
    put("palm_auto_over_heap", automatic.inside / loop);
    put("palm_auto_over_warm_heap", automatic.inside / warm);
    put("palm_chunk_ms", 1e3 * chunk.inside);
    put("palm_chunk_over_heap", chunk.inside / loop);
  }

  static void least(Sample& so_far, const Sample& next)
  {
    const Sample before = std::exchange(so_far, next);
    so_far.inside       = std::min(before.inside, next.inside);
    so_far.around       = std::min(before.around, next.around);
  }

  void simulations()
  {
    const Scenario on_2  = scenario_of(palm);
    const Scenario on_32 = scenario_of(palm, palm_on_32_pods);
    Sample small         = simulate_in_child(on_2, Granularity::automatic);
    Sample large         = simulate_in_child(on_32, Granularity::automatic);
    for (int i = 1; i < some; ++i) {
      least(small, simulate_in_child(on_2, Granularity::automatic));
      least(large, simulate_in_child(on_32, Granularity::automatic));
    }
    put("pods32_over_pods2", large.inside / small.inside);
    const struct {
      const char* name;
      std::string file;
      Changes changes;
    } others[] = {
        {"mtnlg_s", mt_nlg, {}},
        {"straggler_s", palm, {R"(faults={"chips": [{"at": {"pod": 0, "x": 3, "y": 4, "z": 5}, "compute": 0.8}]})"}},
        {"slow_link_s",
         palm,
         {R"(faults={"links": [{"at": {"pod": 0, "x": 3, "y": 4, "z": 5}, "axis": "x", "bandwidth": 0.5}]})"}},
    };
    for (const auto& [name, file, changes] : others) {
      const Scenario scenario = scenario_of(file, changes);
      put(name, least_of(few, [&] { return simulate_in_child(scenario, Granularity::automatic).inside; }));
    }
  }

  // 1000 variants of PaLM 540B as a user would sweep over them, and what it costs to fork that often for nothing.
  void sweep()
  {
    constexpr std::size_t variants = 1000;
    put("sweep_scenarios_per_s", variants / seconds_of_sweep(2));
    put("sweep_one_worker_per_s", variants / seconds_of_sweep(1));
    put("fork_only_per_s", variants / seconds_of([] {
                             const auto fine = [](std::size_t, const JobOutcome& outcome) {
                               if (outcome.status != JobStatus::done)
                                 throw std::runtime_error("a process that does nothing failed");
                             };
                             run_jobs(variants, [](std::size_t, bool) { return std::string("done"); }, fine,
                                      {.workers = 2, .time_out = {}, .on_interrupt = OnInterrupt::kill});
                           }));
  }

  static double seconds_of_sweep(int workers)
  {
    const std::string file = PODSIM_BENCH_FOLDER "/palm-variants.sqlite";
    std::filesystem::remove(file);
    return run_podsim({"sweep", PODSIM_SOURCE_DIR "/tests/bench/palm-variants.json", "--db", file, "--workers",
                       std::to_string(workers), "--quiet"})
        .seconds;
  }

  // The project's own gate, over all published scenarios.
  void gate()
  {
    put("gate_s", least_of(few, [] {
          return run_podsim({"check", PODSIM_SOURCE_DIR "/tests/baseline.json"}).seconds;
        }));
  }

  // Steps like PaLM's on ever more chips; where a few chips cannot hold 540B, a smaller model of the same kind.
  void scale()
  {
    const auto on_slice = [](const char* model, const char* slice, int model_axis, int data_axis, int batch) {
      return Changes{fmt::format("model={}", model),
                     fmt::format("machine.slice={}", slice),
                     fmt::format("mesh.model.size={}", model_axis),
                     fmt::format("mesh.data.size={}", data_axis),
                     fmt::format("workload.batch={}", batch),
                     "machine.pods=1",
                     "mesh.pod=null"};
    };
    std::vector<Changes> steps{on_slice("palm-8b", "4x4x4", 4, 16, 64), on_slice("palm-62b", "8x8x8", 8, 64, 256),
                               on_slice("palm-540b", "12x8x16", 12, 128, 512),
                               on_slice("palm-540b", "12x16x16", 12, 256, 1024)};
    for (int pods = 2; pods <= 32; pods *= 2)
      steps.push_back({fmt::format("machine.pods={}", pods), fmt::format("mesh.pod.size={}", pods),
                       fmt::format("workload.batch={}", 1024 * pods)});
    fmt::print("\n{:>8} {:>8} {:>11} {:>10}  {}\n", "chips", "classes", "activities", "seconds", "model");
    for (const Changes& changes : steps) {
      const Scenario scenario = scenario_of(palm, changes);
      Sample sample;
      const double seconds = least_of(few, [&] {
        sample = simulate_in_child(scenario, Granularity::automatic);
        return sample.inside;
      });
      fmt::print("{:>8} {:>8} {:>11} {:>10.4f}  {}\n", sample.chips, sample.classes, sample.activities, seconds,
                 scenario.model.name);
      json_["scale"].push_back({{"chips", sample.chips},
                                {"model", scenario.model.name},
                                {"classes", sample.classes},
                                {"activities", sample.activities},
                                {"seconds", seconds}});
    }
    fmt::print("\n");
  }

  nlohmann::ordered_json json_;
};

} // namespace

nlohmann::ordered_json figures()
{
  return Figures().all();
}

} // namespace podsim::bench
