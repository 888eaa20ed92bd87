#include "reports/show.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/pipeline.hpp"
#include "sim/app/terminal.hpp"

#include <fmt/format.h>
#include <memory>

namespace podsim {
namespace {

struct ShowOptions {
  std::string scenario;
  std::vector<std::string> changes;
};

Overview overview(const Prepared& prepared)
{
  const Scenario& s = prepared.scenario;
  Overview result{describe(prepared), prepared.program.model, flops_per_token(prepared.program),
                  fold(s.machine, s.placement).classes, {}};
  for (const DeviceBlock& block : prepared.sharded.programs.front().blocks) {
    BlockRow& row = result.blocks.emplace_back(BlockRow{block.name, block.count, {}});
    for (const DeviceOperation& op : block.operations)
      if (op.kind == DeviceOperation::Kind::collective) {
        const Ticks alone = duration(plan(op.collective, s.machine, s.placement, multi_axis(s)));
        row.collectives.push_back({op.name, s.mesh.names(op.collective.axes), op.collective.full,
                                   to_seconds(static_cast<double>(alone)), op.asynchronous});
      }
  }
  return result;
}

int show_scenario(const ShowOptions& options)
{
  const Catalogue catalogue = Catalogue::beside_program();
  const Prepared prepared = prepare(read_scenario(resolve(options.scenario, options.changes, catalogue)));
  const Overview all      = overview(prepared);
  write_stdout(to_text(all, Style(stdout_has_colour())));
  if (all.description.status == "ok")
    return exit_done;
  fmt::print(stderr, "podsim: {}: {}\n", options.scenario, all.description.reason);
  return exit_cannot_run;
}

} // namespace

Action setup_show(CLI::App& command)
{
  auto options = std::make_shared<ShowOptions>();
  command.add_option("SCENARIO", options->scenario, "scenario file")->required();
  command.add_option("--set", options->changes, "change one value by its JSON path, as workload.batch=1024; may be repeated")
      ->type_name("PATH=VALUE")
      ->allow_extra_args(false);
  return [options] { return show_scenario(*options); };
}

} // namespace podsim
