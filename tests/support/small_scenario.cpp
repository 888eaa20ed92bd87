#include "tests/support/small_scenario.hpp"

#include "sim/collectives/duration.hpp"
#include "sim/engine/row.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <tuple>
#include <unistd.h>

namespace podsim::test {
namespace {

using nlohmann::json;

std::int64_t size_of(const json& on, const SmallScenario& s)
{
  if (on == "dcn")
    return s.pods;
  if (on.is_object())
    return on.at("length").get<std::int64_t>();
  if (on.is_array()) {
    std::int64_t product = 1;
    for (const json& factor : on)
      product *= size_of(factor, s);
    return product;
  }
  std::string rest = s.slice;
  for (char axis = 'x'; axis < on.get<std::string>()[0]; ++axis)
    rest = rest.substr(rest.find('x') + 1);
  return std::stoll(rest);
}

} // namespace

json pipeline_part(const std::string& schedule, int chunks)
{
  json part{{"schedule", schedule}};
  if (chunks > 1)
    part["chunks"] = chunks;
  return part;
}

Prepared prepare(const SmallScenario& s)
{
  const std::string data = PODSIM_SOURCE_DIR "/tests/data/";
  json mesh              = json::object();
  for (const auto& [name, on] : s.mesh)
    mesh[name] = {{"size", size_of(on, s)}, {"on", on}};
  json scenario{{"schema_version", 1},
                {"name", "small"},
                {"model", data + s.model + ".json"},
                {"machine", {{"base", data + "generic.json"}, {"slice", s.slice}, {"pods", s.pods}}},
                {"workload", {{"batch", s.batch}, {"sequence", 64}, {"remat", s.remat}, {"optimizer", "adamw"}}},
                {"mesh", mesh},
                {"sharding", s.sharding},
                {"software", s.software}};
  if (!s.pipeline.is_null())
    scenario["pipeline"] = s.pipeline;
  if (!s.replicated.empty())
    scenario["replicated"] = s.replicated;
  if (s.micro_batch > 0)
    scenario["workload"]["micro_batch"] = s.micro_batch;
  const auto file = std::filesystem::temp_directory_path() / ("podsim-test-" + std::to_string(getpid()) + ".json");
  std::ofstream(file) << scenario.dump();
  Document document = resolve(file.string(), s.changes, Catalogue(PODSIM_SOURCE_DIR));
  std::filesystem::remove(file);
  return podsim::prepare(read_scenario(std::move(document)));
}

double all_reduce_seconds(int nodes, double bytes, const std::string& algorithm)
{
  const json none    = json::object();
  const json unsplit = {{"name", "unsplit"}, {"weights", none}, {"activations", none}, {"compute", none}};
  const Prepared p   = prepare({.slice      = "1x1x1",
                                .pods       = nodes,
                                .sharding   = unsplit,
                                .mesh       = {{"pod", "dcn"}},
                                .changes    = {fmt::format(R"(software.dcn_all_reduce="{}")", algorithm)},
                                .replicated = {"pod"}});
  const Scenario& s  = p.scenario;
  const Plan own = plan({CollectiveKind::all_reduce, 1, Bytes(bytes)}, s.machine, s.placement, s.software.collectives);
  return static_cast<double>(duration(own)) / ticks_per_second;
}

Trace simulate(const Prepared& prepared, Granularity granularity, bool explicit_devices, bool skip_repetitions)
{
  const Scenario& s = prepared.scenario;
  return simulate(prepared.sharded, s.machine, s.placement, s.software.collectives, granularity, explicit_devices,
                  skip_repetitions);
}

Trace simulate(const ShardedProgram& program, const Machine& machine, const Placement& placement,
               const CollectiveChoices& choices, Granularity granularity, bool explicit_devices, bool skip_repetitions)
{
  return podsim::simulate(program, time_program(program, machine, placement, choices, granularity), machine, placement,
                          fold(machine, placement, program.pipeline),
                          {.granularity      = granularity,
                           .explicit_devices = explicit_devices,
                           .skip_repetitions = skip_repetitions,
                           .progress         = {}});
}

ShardedProgram one_stage(const Mesh& mesh, std::vector<DeviceBlock> blocks, ResidentBytes resident,
                         int prefetch_iterations)
{
  ShardedProgram program;
  program.mesh                = mesh;
  program.prefetch_iterations = prefetch_iterations;
  Stage stage{0, {}};
  for (const DeviceBlock& block : blocks)
    stage.steps.push_back({static_cast<std::int32_t>(stage.steps.size()), static_cast<std::int32_t>(block.count)});
  program.programs.push_back({std::move(blocks), resident});
  program.stages.push_back(std::move(stage));
  return program;
}

std::vector<TraceRecord> single_records(const Trace& trace, const ShardedProgram& program, const TimedProgram& timed,
                                        const Machine& machine)
{
  std::vector<TraceRecord> all;
  each_record(trace, [&](const TraceRecord& record) {
    const std::size_t stage   = trace.stages.at(static_cast<std::size_t>(record.device_class));
    const std::int64_t device = trace.classes.at(static_cast<std::size_t>(record.device_class)).representative;
    const std::vector<TraceRecord> single =
        split(record, program.program_of(stage), program.stages[stage],
              timed.durations(program.stages[stage].program, machine.overrides.device(device)));
    all.insert(all.end(), single.begin(), single.end());
  });
  const auto key = [](const TraceRecord& r) { return std::tuple(r.device_class, r.step, r.iteration, r.operation); };
  std::sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  return all;
}

std::optional<double> value_of(const std::string& name, const Metrics& metrics, Counting counting)
{
  Evaluation run;
  run.metrics = metrics;
  return podsim::value_of(figure(name), run, counting);
}

// Records of one class stand in the order in which they ended, ties either way round; and how many operations one
// covers depends on what else could have had a say.
void check_same_trace(const Trace& one, const Trace& other, const Prepared& prepared, Granularity granularity)
{
  CHECK(one.end.value() == other.end.value());
  const Machine& machine           = prepared.scenario.machine;
  const TimedProgram timed         = timed_program(prepared, granularity);
  const std::vector<TraceRecord> a = single_records(one, prepared.sharded, timed, machine);
  const std::vector<TraceRecord> b = single_records(other, prepared.sharded, timed, machine);
  REQUIRE(a.size() == b.size());
  const auto key = [](const TraceRecord& r) { return std::tuple(r.device_class, r.step, r.iteration, r.operation); };
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(key(a[i]) == key(b[i]));
    REQUIRE(a[i].start.value() == b[i].start.value());
    REQUIRE(a[i].end.value() == b[i].end.value());
  }
}

} // namespace podsim::test
