#include "reports/show.hpp"
#include "sim/app/commands.hpp"
#include "sim/app/options.hpp"
#include "sim/app/pipeline.hpp"
#include "sim/app/terminal.hpp"

#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

struct ShowOptions {
  std::string scenario;
  std::vector<std::string> changes;
};

// The leaves of the resolved scenario; of a constant its value.
void list_values(const Json& json, const std::string& path, std::vector<std::pair<std::string, std::string>>& values)
{
  if (json.is_object() && json.contains("value") && json.contains("source") && !json.contains("metric")) {
    list_values(json["value"], path, values);
  } else if (json.is_object()) {
    for (const auto& [key, child] : json.items())
      if (key != "note" && key != "published")
        list_values(child, child_path(path, key), values);
  } else if (json.is_array() && !json.empty() && json.front().is_object()) {
    for (std::size_t i = 0; i < json.size(); ++i)
      list_values(json[i], fmt::format("{}[{}]", path, i), values);
  } else {
    values.emplace_back(path, json.is_string() ? json.get<std::string>()
                                               : json.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
}

Overview overview(const Prepared& prepared)
{
  const Scenario& s = prepared.scenario;
  Overview result{describe(prepared),
                  prepared.program.model,
                  flops_per_token(prepared.program),
                  fold(s.machine, s.placement, prepared.sharded.pipeline).classes,
                  {},
                  {}};
  if (serial_time(prepared) > longest_step) // beyond the clock that collectives are timed with
    return result;
  for (const DeviceBlock& block : prepared.sharded.program_of(0).blocks) {
    BlockRow& row = result.blocks.emplace_back(BlockRow{block.name, block.count, {}});
    for (const DeviceOperation& op : block.operations)
      if (op.kind == DeviceOperation::Kind::collective) {
        const Ticks alone = duration(plan(op.collective, s.machine, s.placement, s.software.multi_axis));
        row.collectives.push_back({op.name, s.mesh.names(op.collective.axes), op.collective.full,
                                   to_seconds(static_cast<double>(alone)), op.asynchronous});
      }
  }
  return result;
}

int show_scenario(const ShowOptions& options)
{
  const Catalogue catalogue = Catalogue::beside_program();
  std::string reason;
  try {
    Document document = resolve(options.scenario, options.changes, catalogue);
    std::vector<std::pair<std::string, std::string>> values;
    list_values(*document.json, "", values);
    Overview all = overview(prepare(read_scenario(std::move(document))));
    all.values   = std::move(values);
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
