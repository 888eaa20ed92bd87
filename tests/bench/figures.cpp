#include "tests/bench/figures.hpp"

#include "scenarios/variants.hpp"
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
const std::string gpt = PODSIM_SOURCE_DIR "/scenarios/training/a100/korthikanti22-175b-full.json"; // interleaved by 3

// Korthikanti et al. 2022, arXiv:2205.05198, table 3: 530B interleaved by 3, 1T not interleaved.
Changes korthikanti(const std::string& model, int stages, int batch)
{
  return {"model=" + model, fmt::format("machine.nodes={}", stages), fmt::format("mesh.pipeline.size={}", stages),
          fmt::format("mesh.pipeline.on.length={}", stages), fmt::format("workload.batch={}", batch)};
}

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
    put("palm_heap_peak_mb", run_podsim({"run", palm, "--quiet", "--engine", "heap"}).peak_mb); // a worker's, about
    put("pods32_peak_mb", run_podsim(on_32_pods).peak_mb);
    put("mtnlg_peak_mb", run_podsim({"run", mt_nlg, "--quiet"}).peak_mb);
    put("start_ms", 1e3 * least_of(some, [] { return run_podsim({"--version"}).seconds; }));
    put("process_auto_ms", 1e3 * least_of(few, [] { return run_podsim({"run", palm, "--quiet"}).seconds; }));
  }

  void preparation()
  {
    const Scenario scenario = scenario_of(palm); // the catalogue has been read
    put("resolve_ms", 1e3 * least_of(many, [] { return seconds_of([] { scenario_of(palm); }); }));
    put("prepare_ms", 1e3 * least_of(many, [&] { return seconds_of([&] { prepare(scenario); }); }));
    Variants variants(catalogue());
    int turn = 0;
    put("change_one_value_us", 1e6 * least_of(many, [&] {
                                 const std::string change =
                                     fmt::format("machine.ici.link_bandwidth={} GB/s", ++turn % 50 + 1);
                                 return seconds_of([&] {
                                   variants.resolve(palm, {change});
                                   variants.read();
                                 });
                               }));
  }

  // From the resolved scenario to its result, on the clock in this process; in turn with the heap's own loop.
  static double in_process(const Scenario& scenario)
  {
    return seconds_of([&] { evaluate(scenario); });
  }

  // The simulation beside the bare loop over the same events, each in a process forked for it.
  void heap()
  {
    const Scenario scenario   = scenario_of(palm);
    const Prepared prepared   = prepare(scenario);
    const TimedProgram timed  = timed_program(prepared, Granularity::chunk);
    const HeapProgram program = heap_program(prepared.sharded, timed, scenario.machine);
    const Trace trace =
        simulate(prepared.sharded, timed, scenario.machine, scenario.placement, classes_on(scenario.machine, prepared),
                 {.granularity = Granularity::chunk, .explicit_devices = false, .progress = {}});
    const Ticks end = std::llround(trace.end.value() * ticks_per_second);
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
    warm_ = warm;
    put("palm_in_process_ms", 1e3 * least_of(some, [&] { return in_process(scenario); }));
    put("palm_auto_over_warm_heap", json_["palm_in_process_ms"].get<double>() / (1e3 * warm));
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
    double small = in_process(on_2), large = in_process(on_32);
    for (int i = 1; i < some; ++i) {
      small = std::min(small, in_process(on_2));
      large = std::min(large, in_process(on_32));
    }
    put("pods32_over_pods2", large / small);
    const struct {
      const char* name;
      double unit;
      std::string file;
      Changes changes;
    } others[] = {
        {"mtnlg_s", 1, mt_nlg, {}},
        {"megatron_175b_ms", 1e3, gpt, {}},
        {"megatron_530b_ms", 1e3, gpt, korthikanti("mt-nlg-530b", 35, 280)},
        {"megatron_1t_ms", 1e3, gpt, one_trillion()},
        {"straggler_s", 1, palm, {R"(faults={"chips": [{"at": {"pod": 0, "x": 3, "y": 4, "z": 5}, "compute": 0.8}]})"}},
        {"slow_link_s",
         1,
         palm,
         {R"(faults={"links": [{"at": {"pod": 0, "x": 3, "y": 4, "z": 5}, "axis": "x", "bandwidth": 0.5}]})"}},
    };
    for (const auto& [name, unit, file, changes] : others) {
      const Scenario scenario = scenario_of(file, changes);
      put(name, unit * least_of(few, [&] { return in_process(scenario); }));
      put(std::string(name) + "_over_warm_heap", json_[name].get<double>() / unit / warm_);
    }
  }

  static Changes one_trillion()
  {
    Changes changes = korthikanti("megatron-1008b", 64, 512);
    changes.emplace_back(R"(pipeline={"schedule": "1f1b"})");
    return changes;
  }

  // 1000 variants of PaLM 540B as a user would sweep over them, beside the program of commit 304adac where somebody has
  // built it (CONTRIBUTING.md says how), in turn on one disk; and the grid of meshes on which Calculon takes .95 s.
  void sweep()
  {
    constexpr std::size_t variants = 1000;
    const std::string previous     = PODSIM_SOURCE_DIR "/build/previous/podsim";
    const std::string study        = PODSIM_SOURCE_DIR "/tests/bench/palm-variants.json";
    double own = sweep_of(PODSIM_PROGRAM, study, 2).seconds, before = 0;
    if (std::filesystem::exists(previous))
      before = sweep_of(previous, study, 2).seconds;
    for (int i = 1; i < 3; ++i) {
      own = std::min(own, sweep_of(PODSIM_PROGRAM, study, 2).seconds);
      if (before > 0)
        before = std::min(before, sweep_of(previous, study, 2).seconds);
    }
    put("sweep_scenarios_per_s", variants / own);
    if (before > 0)
      put("sweep_over_previous", before / own);
    else
      fmt::print("sweep_over_previous          left out: there is no {}\n", previous);
    const ProcessSample one = sweep_of(PODSIM_PROGRAM, study, 1);
    put("sweep_one_worker_per_s", variants / one.seconds);
    put("grid720_cpu_s", least_of(3, [] {
          return sweep_of(PODSIM_PROGRAM, PODSIM_SOURCE_DIR "/tests/bench/gpt3-grid.json", 1).cpu_seconds;
        }));
  }

  static ProcessSample sweep_of(const std::string& program, const std::string& study, int workers)
  {
    const std::string file = PODSIM_BENCH_FOLDER "/bench.sqlite";
    std::filesystem::remove(file);
    return run_podsim({"sweep", study, "--db", file, "--workers", std::to_string(workers), "--quiet"}, program);
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
      const Scenario scenario         = scenario_of(palm, changes);
      const double seconds            = least_of(few, [&] { return in_process(scenario); });
      const SimulationInfo simulation = evaluate(scenario).simulation;
      fmt::print("{:>8} {:>8} {:>11} {:>10.5f}  {}\n", simulation.chips, simulation.classes, simulation.activities,
                 seconds, scenario.training().model.name);
      json_["scale"].push_back({{"chips", simulation.chips},
                                {"model", scenario.training().model.name},
                                {"classes", simulation.classes},
                                {"activities", simulation.activities},
                                {"seconds", seconds}});
    }
    fmt::print("\n");
  }

  nlohmann::ordered_json json_;
  double warm_ = 0; // seconds of the heap's loop
};

} // namespace

nlohmann::ordered_json figures()
{
  return Figures().all();
}

} // namespace podsim::bench
