// How fast podsim is, on the PaLM step: build/release/bench.json and a table. Ratios within one run can be trusted on
// a noisy machine, absolute times cannot: so a bare binary-heap loop over as many events stands beside each.

#include "sim/app/pipeline.hpp"

#include <benchmark/benchmark.h>
#include <cstdint>
#include <fcntl.h>
#include <queue>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace podsim;

namespace {

const std::string palm   = PODSIM_SOURCE_DIR "/scenarios/training/palm-540b.json";
const std::string mt_nlg = PODSIM_SOURCE_DIR "/scenarios/training/a100/mtnlg530-2240.json";

Scenario scenario_of(const std::string& file)
{
  return read_scenario(resolve(file, {}, Catalogue(PODSIM_SOURCE_DIR)));
}

// From the file to what each device does.
void prepare_palm(benchmark::State& state)
{
  for (auto _ : state)
    benchmark::DoNotOptimize(prepare(scenario_of(palm)));
}

// From the resolved scenario to its metrics, the fork included.
void simulate_step(benchmark::State& state, const std::string& file, Granularity granularity)
{
  const Scenario scenario = scenario_of(file);
  double activities       = 0;
  for (auto _ : state)
    activities += static_cast<double>(
        run(prepare(scenario), {.granularity = granularity, .explicit_devices = false, .progress = {}})
            .simulation.activities);
  state.counters["activities"]   = activities / static_cast<double>(state.iterations());
  state.counters["activities/s"] = benchmark::Counter(activities, benchmark::Counter::kIsRate);
}

void simulate_palm(benchmark::State& state, Granularity granularity)
{
  simulate_step(state, palm, granularity);
}

// A pipeline of 35 stages and 240 micro-batches.
void simulate_mt_nlg(benchmark::State& state, Granularity granularity)
{
  simulate_step(state, mt_nlg, granularity);
}

// As many events as the simulation has activities, a few alive at once, and nothing done for them.
void heap_loop(benchmark::State& state, Granularity granularity)
{
  const std::int64_t events =
      run(prepare(scenario_of(palm)), {.granularity = granularity, .explicit_devices = false, .progress = {}})
          .simulation.activities;
  for (auto _ : state) {
    using Event = std::pair<double, int>;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> heap;
    for (int stream = 0; stream < 8; ++stream)
      heap.emplace(stream, stream);
    double now = 0;
    for (std::int64_t i = 0; i < events; ++i) {
      const Event event = heap.top();
      heap.pop();
      now = event.first;
      heap.emplace(now + 1 + event.second * 0.125, event.second);
    }
    benchmark::DoNotOptimize(now);
  }
  state.counters["activities"] = static_cast<double>(events);
  state.counters["activities/s"] =
      benchmark::Counter(static_cast<double>(events * state.iterations()), benchmark::Counter::kIsRate);
}

// The whole program as a user starts it.
void whole_process(benchmark::State& state, const char* granularity)
{
  long peak_kib = 0;
  for (auto _ : state) {
    const pid_t child = fork();
    if (child == 0) {
      dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
      execl(PODSIM_PROGRAM, "podsim", "run", palm.c_str(), "--granularity", granularity, nullptr);
      _exit(EXIT_FAILURE);
    }
    int status   = 0;
    rusage usage = {};
    wait4(child, &status, 0, &usage);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
      state.SkipWithError("podsim failed");
    peak_kib = std::max(peak_kib, usage.ru_maxrss);
  }
  state.counters["peak_MB"] = static_cast<double>(peak_kib) * 1024 / 1e6;
}

void add(const char* name, void (*body)(benchmark::State&, Granularity), Granularity granularity)
{
  benchmark::RegisterBenchmark(name, [=](benchmark::State& state) { body(state, granularity); })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

} // namespace

int main(int argc, char** argv)
{
  std::vector<char*> arguments(argv, argv + argc);
  std::string out    = "--benchmark_out=" PODSIM_BENCH_JSON;
  std::string format = "--benchmark_out_format=json";
  arguments.insert(arguments.begin() + 1, {out.data(), format.data()}); // the command line may say otherwise
  int count = static_cast<int>(arguments.size());
  benchmark::RegisterBenchmark("prepare", prepare_palm)->Unit(benchmark::kMillisecond);
  add("palm_collective", simulate_palm, Granularity::collective);
  add("heap_collective", heap_loop, Granularity::collective);
  add("palm_auto", simulate_palm, Granularity::automatic);
  add("mtnlg_auto", simulate_mt_nlg, Granularity::automatic);
  add("palm_chunk", simulate_palm, Granularity::chunk);
  add("heap_chunk", heap_loop, Granularity::chunk);
  for (const char* granularity : {"auto", "chunk"})
    benchmark::RegisterBenchmark((std::string("process_") + granularity).c_str(),
                                 [=](benchmark::State& state) { whole_process(state, granularity); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  benchmark::Initialize(&count, arguments.data());
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
