#include "sim/app/overview.hpp"

#include "sim/evaluate/feasibility.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace podsim {
namespace {

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

} // namespace

std::vector<std::pair<std::string, std::string>> resolved_values(const Document& document)
{
  std::vector<std::pair<std::string, std::string>> values;
  list_values(*document.json, "", values);
  return values;
}

Overview overview(const Prepared& prepared)
{
  const Scenario& s = prepared.scenario;
  Overview result{describe(prepared), prepared.program.model, flops_per_token(prepared.program), {}, {}, {}};
  if (serial_time(prepared) > longest_step) // beyond the clock that collectives are timed with
    return result;
  for (const DeviceBlock& block : prepared.sharded.program_of(0).blocks) {
    BlockRow& row = result.blocks.emplace_back(BlockRow{block.name, block.count, {}});
    for (const DeviceOperation& op : block.operations)
      if (op.kind == DeviceOperation::Kind::collective) {
        const Ticks alone = duration(plan(op.collective, s.machine, s.placement, s.software.collectives));
        row.collectives.push_back({op.name, s.mesh.names(op.collective.axes), op.collective.full,
                                   to_seconds(static_cast<double>(alone)), op.asynchronous});
      }
  }
  return result;
}

} // namespace podsim
