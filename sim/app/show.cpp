#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output.hpp"
#include "sim/app/overview.hpp"
#include "sim/app/terminal.hpp"

#include <memory>

namespace podsim {
namespace {

struct ShowOptions {
  std::string scenario;
  std::vector<std::string> changes;
};

int show_scenario(const ShowOptions& options)
{
  const Catalogue catalogue = Catalogue::beside_program();
  std::string reason;
  try {
    Document document       = resolve(options.scenario, options.changes, catalogue);
    auto values             = resolved_values(document);
    const Prepared prepared = prepare(read_scenario(std::move(document)));
    const Scenario& s       = prepared.scenario;
    Overview all            = overview(prepared);
    all.classes             = fold(s.machine, s.placement, prepared.sharded.pipeline).classes;
    all.values              = std::move(values);
    print(to_text(all, Style(stdout_has_colour())));
    reason = all.description.reason;
  } catch (const CannotRun& wrong) {
    reason = wrong.what();
  }
  if (reason.empty())
    return exit_done;
  complain(options.scenario + ": " + reason);
  return exit_cannot_run;
}

} // namespace

Action setup_show(CLI::App& command)
{
  auto options = std::make_shared<ShowOptions>();
  add_scenario(command, options->scenario);
  add_changes(command, options->changes);
  return [options] { return show_scenario(*options); };
}

} // namespace podsim
