#include "reports/json.hpp"
#include "reports/text.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/pipeline.hpp"
#include "sim/app/terminal.hpp"
#include "sim/app/validated.hpp"

#include <chrono>
#include <fmt/format.h>
#include <memory>

namespace podsim {
namespace {

struct RunOptions {
  std::string scenario;
  std::string json;
  std::vector<std::string> changes;
  std::string granularity = "auto";
  bool explicit_devices   = false;
  bool every_layer        = false;
  bool timing             = false;
  bool quiet              = false;
};

// A line on the terminal that is overwritten as the simulation goes on, once it takes longer than a second.
class Progress {
public:
  void operator()(double fraction)
  {
    using namespace std::chrono_literals;
    const auto now = std::chrono::steady_clock::now();
    if (now - started_ < 1s || now - shown_ < 100ms)
      return;
    shown_              = now;
    const double so_far = std::chrono::duration<double>(now - started_).count();
    fmt::print(stderr, "\r\033[Ksimulating: {:.0f} %, {:.0f} s left", 100 * fraction,
               fraction > 0 ? so_far / fraction - so_far : 0.0);
    std::fflush(stderr);
  }

private:
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_{};
};

SimulationOptions simulation_options(const RunOptions& options)
{
  SimulationOptions simulation;
  for (const auto& [name, value] : granularity_names())
    if (name == options.granularity)
      simulation.granularity = value;
  simulation.explicit_devices = options.explicit_devices;
  simulation.skip_repetitions = !options.every_layer;
  if (!options.quiet && stderr_is_terminal())
    simulation.progress = Progress();
  return simulation;
}

void announce_if_long(const Prepared& prepared, const SimulationOptions& options)
{
  const Scenario& s = prepared.scenario;
  const Seconds estimate =
      simulation_estimate(s.machine.devices(), prepared.sharded, timed_program(prepared, options.granularity));
  const double minutes = estimate.value() / 60;
  if (estimate > Seconds(5))
    complain(fmt::format("simulating {} chips one by one will take about {}", s.machine.chips(),
                         minutes < 2      ? fmt::format("{:.0f} s", estimate.value())
                         : minutes < 180  ? fmt::format("{:.0f} min", minutes)
                         : minutes < 2880 ? fmt::format("{:.0f} h", minutes / 60)
                                          : fmt::format("{:.0f} days", minutes / 1440)));
}

int write_reports(Result result, const RunOptions& options)
{
  const bool json_only = options.json == "-";
  Outputs outputs;
  if (!options.quiet && !json_only)
    outputs.print(to_text(result, Style(stdout_has_colour())));
  if (!options.json.empty()) {
    if (!options.timing)
      result.simulation.wall.reset();
    outputs.write({"--json", options.json}, to_json(result));
  }
  outputs.finish();
  if (result.status == "ok")
    return exit_done;
  complain(options.scenario + ": " + result.reason);
  return exit_cannot_run;
}

int run_scenario(const RunOptions& options)
{
  const Catalogue catalogue       = Catalogue::beside_program();
  Document document               = resolve(options.scenario, options.changes, catalogue);
  const ScenarioIdentity identity = identify(document);
  check_outputs({{"--json", options.json}});
  const SimulationOptions simulation = simulation_options(options);
  try {
    const Prepared prepared = prepare(read_scenario(std::move(document)));
    if (options.explicit_devices && !options.quiet && serial_time(prepared) < longest_step)
      announce_if_long(prepared, simulation);
    Result result    = run(prepared, simulation);
    result.error_bar = validated_error(catalogue, chip_family(prepared.scenario.machine.chip.name));
    if (simulation.progress)
      fmt::print(stderr, "\r\033[K");
    return write_reports(result, options);
  } catch (const CannotRun& reason) {
    Result result;
    result.scenario  = identity.name;
    result.hash      = identity.hash;
    result.status    = "mesh";
    result.reason    = reason.what();
    result.constants = document.constants;
    result.files     = document.files;
    return write_reports(result, options);
  }
}

} // namespace

Action setup_run(CLI::App& command)
{
  auto options = std::make_shared<RunOptions>();
  add_scenario(command, options->scenario);
  add_file(command, "--json", options->json, "also write the result as JSON to FILE; - for standard output, alone");
  add_changes(command, options->changes);
  std::vector<std::string> granularities;
  for (const auto& [name, value] : granularity_names())
    granularities.push_back(name);
  command.add_option("--granularity", options->granularity, "how collectives are simulated: auto, collective or chunk")
      ->check(one_of(granularities))
      ->type_name("HOW");
  command.add_flag("--explicit", options->explicit_devices, "simulate every chip instead of one of a class");
  command.add_flag("--every-layer", options->every_layer,
                   "simulate every layer and micro-batch, also those that only repeat others");
  command.add_flag("--timing", options->timing, "add the wall time to the JSON");
  command.add_flag("--quiet", options->quiet, "no text report, no progress, no warnings");
  return [options] { return run_scenario(*options); };
}

} // namespace podsim
