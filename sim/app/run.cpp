#include "reports/json.hpp"
#include "reports/text.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/limits.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/terminal.hpp"
#include "sim/app/validated.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "sim/evaluate/feasibility.hpp"
#include "sim/jobs/engines.hpp"

#include <chrono>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace podsim {
namespace {

struct RunOptions {
  std::string scenario;
  std::string json;
  std::vector<std::string> changes;
  std::string granularity = "auto", engine;
  bool explicit_devices   = false;
  bool every_layer        = false;
  bool timing             = false;
  bool quiet              = false;
  double time_out         = 0; // none
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

void announce_if_long(const std::string& what, Seconds time)
{
  const double minutes = time.value() / 60;
  if (time > Seconds(5))
    complain(fmt::format("{} will take about {}", what,
                         minutes < 2      ? fmt::format("{:.0f} s", time.value())
                         : minutes < 180  ? fmt::format("{:.0f} min", minutes)
                         : minutes < 2880 ? fmt::format("{:.0f} h", minutes / 60)
                                          : fmt::format("{:.0f} days", minutes / 1440)));
}

// Where there is no terminal: one line, as soon as it can be told that a simulation will take long.
class Forecast {
public:
  void operator()(double fraction)
  {
    using namespace std::chrono_literals;
    const auto now = std::chrono::steady_clock::now();
    if (!started_) {
      started_ = now;
      from_    = fraction;
    }
    if (said_ || now - *started_ < 1s || fraction <= from_)
      return;
    said_               = true;
    const double so_far = std::chrono::duration<double>(now - *started_).count();
    announce_if_long("simulating", Seconds(so_far / (fraction - from_) * (1 - fraction)));
  }

private:
  std::optional<std::chrono::steady_clock::time_point> started_; // the simulation, not what was made ready for it
  double from_ = 0;
  bool said_   = false;
};

SimulationOptions simulation_options(const RunOptions& options)
{
  SimulationOptions simulation = on_engine(options.engine);
  for (const auto& [name, value] : granularity_names())
    if (name == options.granularity)
      simulation.granularity = value;
  simulation.explicit_devices = options.explicit_devices;
  simulation.skip_repetitions = !options.every_layer;
  if (!options.quiet && stderr_is_terminal())
    simulation.progress = Progress();
  else if (!options.quiet && !options.explicit_devices) // of which there is an estimate
    simulation.progress = Forecast();
  return simulation;
}

void announce_explicit(const Prepared& prepared, const SimulationOptions& options)
{
  const Scenario& s = prepared.scenario;
  announce_if_long(
      fmt::format("simulating {} {}s one by one", s.machine.devices(), s.machine.device_word()),
      simulation_estimate(s.machine.devices(), prepared.sharded, timed_program(prepared, options.granularity)));
}

int write_reports(Evaluation result, const RunOptions& options)
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
  if (result.simulation.fold_stopped && !options.quiet)
    complain("warning: the fold in time could not go on, so that all was simulated in full: the result is right, but "
             "this is a mistake of podsim's; please report it with the scenario");
  if (result.status == Status::ok)
    return exit_done;
  complain(options.scenario + ": " + result.reason);
  return exit_cannot_run;
}

// The result, or why there is none; within the time that it is given.
Evaluation simulated(const RunOptions& options, const SimulationOptions& simulation)
{
  const Limits limits(options.scenario, options.time_out);
  const Catalogue catalogue       = Catalogue::beside_program();
  Document document               = resolve(options.scenario, options.changes, catalogue);
  const ScenarioIdentity identity = identify(document);
  check_outputs({{"--json", options.json}});
  Evaluation result;
  try {
    const Prepared prepared = prepare(read_scenario(std::move(document)));
    if (options.explicit_devices && !options.quiet && serial_time(prepared) < longest_step)
      announce_explicit(prepared, simulation);
    result           = evaluate(prepared, {simulation, true, options.quiet ? Announce() : Announce(announce_if_long)});
    result.error_bar = validated_error(catalogue, chip_family(prepared.scenario.machine.chip.name));
    if (simulation.progress && stderr_is_terminal())
      fmt::print(stderr, "\r\033[K");
  } catch (const CannotRun& reason) {
    result.scenario  = identity.name;
    result.hash      = identity.hash;
    result.status    = Status::mesh;
    result.reason    = reason.what();
    result.constants = document.constants;
    result.files     = document.files;
  }
  return result;
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
  add_engine(command, options->engine, "simgrid");
  command.add_flag("--explicit", options->explicit_devices,
                   "simulate every chip (of TPU v2 and v3, every core) instead of one of a class");
  command.add_flag("--every-layer", options->every_layer,
                   "simulate every layer and micro-batch, also those that only repeat others");
  add_time_out(command, options->time_out, "seconds after which the run is given up; without it none");
  command.add_flag("--timing", options->timing, "add the wall time to the JSON");
  command.add_flag("--quiet", options->quiet, "no text report, no progress, no warnings");
  return [options] { return write_reports(simulated(*options, simulation_options(*options)), *options); };
}

} // namespace podsim
