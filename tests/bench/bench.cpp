// How fast podsim is: build/release/bench.json and a table. First the figures of tests/bench/figures.hpp, flat at the
// top, then Google Benchmark's own entries under "benchmarks": absolute times, the fork of each simulation included.

#include "sim/evaluate/evaluate.hpp"
#include "tests/bench/child.hpp"
#include "tests/bench/figures.hpp"

#include <benchmark/benchmark.h>
#include <exception>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace podsim;

namespace {

const std::string palm   = PODSIM_SOURCE_DIR "/scenarios/training/palm-540b.json";
const std::string mt_nlg = PODSIM_SOURCE_DIR "/scenarios/training/a100/mtnlg530-2240.json";

Scenario scenario_of(const std::string& file)
{
  return read_scenario(resolve(file, {}, Catalogue(PODSIM_SOURCE_DIR)));
}

// From the file to what each device does, nothing having been read before.
void prepare_palm(benchmark::State& state)
{
  for (auto _ : state)
    benchmark::DoNotOptimize(prepare(scenario_of(palm)));
}

// From the resolved scenario to its metrics.
void simulate_step(benchmark::State& state, const std::string& file, Granularity granularity)
{
  const Scenario scenario = scenario_of(file);
  double activities       = 0;
  for (auto _ : state)
    activities += static_cast<double>(
        evaluate(scenario, {{.granularity = granularity, .explicit_devices = false, .progress = {}}})
            .simulation.activities);
  state.counters["activities"]   = activities / static_cast<double>(state.iterations());
  state.counters["activities/s"] = benchmark::Counter(activities, benchmark::Counter::kIsRate);
}

// The whole program as a user starts it.
void whole_process(benchmark::State& state, const std::string& granularity)
{
  for (auto _ : state)
    bench::run_podsim({"run", palm, "--granularity", granularity});
}

void add(const std::string& name, const std::function<void(benchmark::State&)>& body)
{
  benchmark::RegisterBenchmark(name.c_str(), body)->Unit(benchmark::kMillisecond)->UseRealTime();
}

void write_results(const nlohmann::ordered_json& figures)
{
  nlohmann::ordered_json all = figures;
  std::ifstream file(PODSIM_BENCH_FOLDER "/bench-entries.json");
  if (const auto entries = nlohmann::ordered_json::parse(file, nullptr, false); entries.is_object())
    all.update(entries); // not so where a filter left none
  std::ofstream(PODSIM_BENCH_FOLDER "/bench.json") << all.dump(2) << '\n';
}

} // namespace

int main(int argc, char** argv)
{
  std::vector<char*> arguments(argv, argv + argc);
  std::string out    = "--benchmark_out=" PODSIM_BENCH_FOLDER "/bench-entries.json";
  std::string format = "--benchmark_out_format=json";
  arguments.insert(arguments.begin() + 1, {out.data(), format.data()}); // the command line may say otherwise
  int count = static_cast<int>(arguments.size());
  for (const auto& [name, granularity] :
       {std::pair("palm_collective", Granularity::collective), std::pair("palm_auto", Granularity::automatic),
        std::pair("palm_chunk", Granularity::chunk)})
    add(name, [granularity](benchmark::State& state) { simulate_step(state, palm, granularity); });
  add("mtnlg_auto", [](benchmark::State& state) { simulate_step(state, mt_nlg, Granularity::automatic); });
  add("prepare", prepare_palm);
  for (const char* granularity : {"auto", "chunk"})
    add(std::string("process_") + granularity,
        [granularity](benchmark::State& state) { whole_process(state, granularity); });
  benchmark::Initialize(&count, arguments.data());
  try {
    const nlohmann::ordered_json figures = bench::figures();
    benchmark::RunSpecifiedBenchmarks();
    write_results(figures);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
