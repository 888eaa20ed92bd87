#include "scenarios/scenario.hpp"

#include "sim/core/input.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fmt/format.h>
#include <numeric>
#include <utility>

namespace podsim {
namespace {

// Besides its name, which the workload keeps.
Remat read_remat(Reader& remat)
{
  Remat read;
  Reader keep = remat.at("keep");
  if (keep.is_array()) {
    read.keep = Remat::Keep::listed;
    read.kept = keep.texts();
  } else {
    read.keep = keep.choice<Remat::Keep>({{"inputs", Remat::Keep::inputs},
                                          {"all but attention", Remat::Keep::all_but_attention},
                                          {"all", Remat::Keep::all}});
  }
  if (remat.find("matrix_fraction"))
    read.matrix_fraction = remat.constant("matrix_fraction").fraction();
  if (const auto logits = remat.find("repeats_logits"))
    read.repeats_logits = logits->flag();
  if (read.repeats_logits && !read.matrix_fraction)
    remat.fail("\"repeats_logits\" needs \"matrix_fraction\"");
  if (remat.find("whole_layers"))
    read.whole_layers = remat.constant("whole_layers").fraction();
  if (read.whole_layers > 0 && !read.matrix_fraction)
    remat.fail("\"whole_layers\" needs \"matrix_fraction\", which says what they save of the products");
  return read;
}

Workload read_workload(Reader workload)
{
  Workload read;
  read.batch      = workload.at("batch").count(1, 100'000'000);
  read.sequence   = workload.at("sequence").count(1, 100'000'000);
  Reader remat    = workload.at("remat");
  read.remat_name = remat.at("name").text();
  read.remat      = read_remat(remat);
  remat.finish();
  read.optimizer = workload.at("optimizer").choice(optimizers());
  workload.find("micro_batch"); // read once the mesh is known
  if (const auto dropout = workload.find("dropout"))
    read.dropout = dropout->flag();
  workload.finish();
  return read;
}

// Micro-batches and pipeline stages.
void read_pipeline(Reader& top, Scenario& scenario)
{
  Pipeline& pipeline   = scenario.pipeline;
  const AxisMask split = scenario.sharding.compute[static_cast<std::size_t>(Dim::batch)];
  Reader workload      = top.at("workload");
  if (const auto micro = workload.find("micro_batch")) {
    const std::int64_t together = micro->count(1, 100'000'000) * scenario.mesh.size(split);
    if (scenario.workload.batch % together != 0)
      micro->fail(fmt::format("{} sequences on each of {} replicas do not divide a batch of {}",
                              together / scenario.mesh.size(split), scenario.mesh.size(split),
                              scenario.workload.batch));
    pipeline.micro_batches = scenario.workload.batch / together;
  }
  const AxisMask axis               = scenario.mesh.find(pipeline_axis_name);
  pipeline.stages                   = axis != 0 ? scenario.mesh.size(axis) : 1;
  std::vector<std::int64_t>& layers = pipeline.layers;
  std::optional<Reader> own         = top.find("pipeline");
  if (own) {
    if (axis == 0)
      own->fail(fmt::format("the mesh has no axis \"{}\" for its stages", pipeline_axis_name));
    pipeline.schedule = own->at("schedule").choice(pipeline_schedules());
    if (pipeline.schedule == PipelineSchedule::interleaved)
      pipeline.chunks = own->at("chunks").count(2, 1000);
    if (pipeline.chunks > 1 && pipeline.stages == 1)
      own->fail("an interleaved schedule needs more than one stage");
    if (const auto list = own->find("layers"))
      for (const Reader& count : list->elements())
        layers.push_back(count.count(1, 10'000));
    own->finish();
  } else if (pipeline.stages > 1) {
    top.fail("a mesh with the axis \"pipeline\" needs a \"pipeline\", like {\"schedule\": \"1f1b\"}");
  }
  const std::int64_t pieces = pipeline.stages * pipeline.chunks;
  // A schedule is a list of all that its stages run, and each pass of a micro-batch through a layer may be simulated.
  if (constexpr std::int64_t most = 2'000'000; pipeline.micro_batches * scenario.model.layers > most)
    workload.at("micro_batch")
        .fail(
            fmt::format("{} micro-batches through {} layers are more than {} passes; a larger micro-batch needs fewer",
                        pipeline.micro_batches, scenario.model.layers, most));
  if (layers.empty()) {
    if (scenario.model.layers % pieces != 0)
      (own ? *own : top)
          .fail(fmt::format("{} layers do not divide into {} equal pieces (stages x chunks); give "
                            "\"layers\", a list of how many each piece has",
                            scenario.model.layers, pieces));
    layers.assign(static_cast<std::size_t>(pieces), scenario.model.layers / pieces);
  }
  if (static_cast<std::int64_t>(layers.size()) != pieces ||
      std::accumulate(layers.begin(), layers.end(), std::int64_t{0}) != scenario.model.layers)
    own->fail(fmt::format("\"layers\" must be {} numbers that add up to {}", pieces, scenario.model.layers));
  if (const std::int64_t every = scenario.model.experts.count > 0 ? scenario.model.experts.every : 1;
      std::any_of(layers.begin(), layers.end(), [&](std::int64_t count) { return count % every != 0; }))
    (own ? *own : top)
        .fail(fmt::format("each piece must have a multiple of {} layers, with experts in the last", every));
  if (pipeline.schedule == PipelineSchedule::interleaved && pipeline.micro_batches % pipeline.stages != 0)
    own->fail(fmt::format("an interleaved schedule needs micro-batches in multiples of its {} stages; there are {}",
                          pipeline.stages, pipeline.micro_batches));
  if (axis == 0)
    return;
  const AxisPlacement& placement = scenario.placement[static_cast<std::size_t>(std::countr_zero(axis))];
  std::int64_t longer            = 0;
  for (const AxisFactor& factor : placement) {
    const bool torus = scenario.machine.lattice.axes[factor.axis].kind == AxisKind::ici;
    longer += factor.length > 1 ? 1 : 0;
    if (!torus || factor.length == 1)
      continue;
    if (factor.stride > 1 || (pipeline.chunks > 1 && !factor.closed))
      own->fail("stages on a torus axis must be neighbours, and on a ring where the schedule is interleaved");
    for (const AxisPlacement& other : scenario.placement)
      for (const AxisFactor& ring : other)
        if (ring.axis == factor.axis && ring.length > 1 && ring.stride > 1)
          own->fail(fmt::format("rings of another mesh axis over every {}th chip of {} would go through chips of other "
                                "stages",
                                ring.stride, scenario.machine.lattice.axes[factor.axis].name));
  }
  if (longer > 1)
    own->fail("stages must lie along one axis of the machine");
}

// {"matrix_product": [rows, depth, columns]}, in bf16; {"copy": "33.5 MB"}, read and written; or {"collective":
// "all-gather", "axes": ["data"], "size": "34 MB"} (of the full tensor).
MicroBenchmark read_micro_benchmark(Reader benchmark, const Mesh& mesh, MultiAxis& multi_axis)
{
  MicroBenchmark read;
  DeviceOperation& operation = read.operation;
  if (const auto product = benchmark.find("matrix_product")) {
    const auto sizes = product->elements();
    if (sizes.size() != 3)
      product->expected("a list of three sizes: rows, depth, columns");
    const auto size  = [&](std::size_t i) { return static_cast<double>(sizes[i].count(1, 10'000'000)); };
    const double m   = size(0);
    const double k   = size(1);
    const double n   = size(2);
    operation.work   = {{1, m, k, n}, Bytes((m * k + k * n + m * n) * bytes_per_element(Dtype::bf16)), Ops(0)};
    read.description = fmt::format("a matrix product, {:.0f} x {:.0f} by {:.0f} x {:.0f}, bf16", m, k, k, n);
  } else if (const auto copy = benchmark.find("copy")) {
    const Bytes size   = copy->quantity<ByteUnit>();
    operation.work.hbm = size * 2;
    read.description   = fmt::format("a copy of {} in HBM", copy->text());
  } else {
    operation.kind            = DeviceOperation::Kind::collective;
    operation.collective.kind = benchmark.at("collective")
                                    .choice<CollectiveKind>({{"all-gather", CollectiveKind::all_gather},
                                                             {"reduce-scatter", CollectiveKind::reduce_scatter},
                                                             {"all-reduce", CollectiveKind::all_reduce},
                                                             {"all-to-all", CollectiveKind::all_to_all}});
    std::vector<std::pair<std::string, AxisMask>> axes;
    for (const MeshAxis& axis : mesh.axes)
      axes.emplace_back(axis.name, mesh.find(axis.name));
    const Reader over = benchmark.at("axes");
    for (const Reader& axis : over.elements())
      operation.collective.axes |= axis.choice(axes);
    if (mesh.size(operation.collective.axes) < 2)
      over.fail("a collective needs at least two devices");
    const Reader size         = benchmark.at("size");
    operation.collective.full = size.quantity<ByteUnit>();
    if (const auto use = benchmark.find("multi_axis_collectives"))
      multi_axis = use->choice(multi_axis_names());
    read.description =
        fmt::format("{} {} of {} over {}", operation.collective.kind == CollectiveKind::all_gather ? "an" : "one",
                    name(operation.collective.kind), size.text(), mesh.names(operation.collective.axes));
  }
  operation.name = read.description;
  benchmark.finish();
  return read;
}

// What a mesh axis splits must have a part for each of its devices, and a whole number of sequences and heads.
void check_divisions(Reader& top, Scenario& scenario)
{
  const auto check = [&](Dim dim, std::int64_t size, const char* part, const char* key, const char* what) {
    for (const DimAxes& table : {scenario.sharding.compute, scenario.sharding.activations, scenario.sharding.weights,
                                 scenario.sharding.gradients, scenario.sharding.optimizer}) {
      const AxisMask split = table[static_cast<std::size_t>(dim)];
      if (size % scenario.mesh.size(split) != 0)
        top.at(part).at(key).fail(fmt::format("{} {} cannot be divided over the {} devices of the mesh axis {}", size,
                                              what, scenario.mesh.size(split), scenario.mesh.names(split)));
    }
  };
  check(Dim::batch, scenario.workload.batch / scenario.pipeline.micro_batches, "workload", "batch",
        scenario.pipeline.micro_batches > 1 ? "sequences of a micro-batch" : "sequences");
  check(Dim::sequence, scenario.workload.sequence, "workload", "sequence", "tokens of a sequence");
  check(Dim::heads, scenario.model.heads, "model", "heads", "heads");
  if (scenario.model.experts.count > 0)
    check(Dim::expert, scenario.model.experts.count, "model", "experts", "experts");
  check(Dim::mlp, scenario.model.d_ff, "model", "d_ff", "channels of the MLP");
  // ZeRO cuts the flat state, padded, into equal parts: the last of what it splits over may be padding.
  ShardingRules& rules = scenario.sharding;
  const DimAxes flat   = std::exchange(rules.optimizer, rules.gradients);
  check(Dim::embed, scenario.model.d_model, "model", "d_model", "channels");
  rules.optimizer = flat;
}

// Groups of tokens for the experts are whole within the tokens of a step and at least one for each device.
void check_groups(Reader& top, const Scenario& scenario)
{
  const std::int64_t group = scenario.model.experts.group;
  if (scenario.model.experts.count == 0 || group == 0)
    return;
  const std::int64_t tokens = scenario.workload.batch / scenario.pipeline.micro_batches * scenario.workload.sequence;
  for (const DimAxes& table : {scenario.sharding.compute, scenario.sharding.activations}) {
    const std::int64_t parts = scenario.mesh.size(table[static_cast<std::size_t>(Dim::batch)]);
    if (tokens % (group * parts) != 0)
      top.at("model").at("experts").at("group").fail(
          fmt::format("{} tokens a step cannot be divided into groups of {} on {} devices", tokens, group, parts));
  }
}

// A list of what remat keeps must name tensors of a layer.
void check_kept(Reader& top, const Scenario& scenario)
{
  if (scenario.workload.remat.keep != Remat::Keep::listed)
    return;
  std::vector<std::string> known;
  for (const Tensor& tensor :
       forward_pass(scenario.model, scenario.workload.batch, scenario.workload.sequence, scenario.software.precision)
           .layer.tensors)
    if (tensor.kind == TensorKind::activation)
      known.push_back(tensor.name);
  for (const Reader& kept : top.at("workload").at("remat").at("keep").elements())
    if (std::find(known.begin(), known.end(), kept.text()) == known.end())
      kept.expected("the name of a tensor in a layer", did_you_mean(kept.text(), known));
}

// A file's path from the folder of the file that names it. Whether it is there is asked by those who need it: a
// scenario runs without what it is compared with.
std::string beside_origin(const Reader& name)
{
  const std::string& origin = name.origin();
  const auto folder         = origin.starts_with("--set ") ? std::filesystem::path() // named on the command line
                                                           : std::filesystem::path(folder_of(origin));
  return (folder / name.text()).lexically_normal().string();
}

PublishedFigure read_published(Reader figure, const std::string& chip)
{
  PublishedFigure read;
  read.id = figure.at("id").text();
  std::vector<std::pair<std::string, Metric>> names;
  for (const MetricInfo& row : metric_table())
    names.emplace_back(row.name, row.metric);
  read.metric             = figure.at("metric").choice(names);
  const MetricInfo& known = info(read.metric);
  if (const auto other = figure.find("relative_to")) {
    read.relative_to   = other->text();
    read.relative_file = beside_origin(*other);
    std::error_code error;
    if (std::filesystem::equivalent(read.relative_file, figure.at("value").origin(), error))
      other->fail("is this scenario itself");
  }
  const Reader unit = figure.at("unit");
  read.unit         = unit.text();
  read.base_units   = read.relative_to.empty() ? unit.choice(known.units) : unit.choice<double>({{"x", 1}});
  read.value        = figure.at("value").number() * read.base_units;
  if (!(read.value > 0 && read.value < 1e30))
    figure.at("value").expected("a positive number below 1e30");
  const Reader convention = figure.at("convention");
  read.counting           = convention.choice(known.conventions);
  read.convention         = convention.text();
  read.statistic          = figure.at("statistic")
                       .choice<std::string>({{"best", "best"},
                                             {"median", "median"},
                                             {"average", "average"},
                                             {"analytic", "analytic"},
                                             {"unstated", "unstated"}});
  read.calibration = figure.at("calibration").flag();
  read.source      = figure.at("source").text();
  read.family      = usual_family(read.metric, chip);
  if (const auto family = figure.find("family")) {
    std::vector<std::pair<std::string, std::string>> families;
    for (const std::string& name : family_names())
      families.emplace_back(name, name);
    read.family = family->choice(families);
  }
  if (const auto run = figure.find("run"))
    read.run = run->text();
  figure.finish();
  return read;
}

void read_training(Reader& top, Scenario& scenario)
{
  scenario.model         = read_transformer(top.at("model"));
  scenario.workload      = read_workload(top.at("workload"));
  scenario.model.dropout = scenario.workload.dropout;
  scenario.sharding      = read_sharding(top.at("sharding"), scenario.mesh);
  scenario.software      = read_software(top.at("software"), scenario.mesh, scenario.sharding);
  read_pipeline(top, scenario);
  check_divisions(top, scenario);
  check_groups(top, scenario);
  check_kept(top, scenario);
  if (scenario.model.positions == Positions::learned && scenario.workload.sequence > scenario.model.max_positions)
    top.at("workload")
        .at("sequence")
        .fail(fmt::format("the model has learned positions for {} tokens only", scenario.model.max_positions));
}

} // namespace

ScenarioIdentity identify(Document& document)
{
  Reader top(document);
  top.at("schema_version").count(1, 1);
  return {top.at("name").text(), content_hash(document)};
}

Scenario read_scenario(Document&& document)
{
  const ScenarioIdentity identity = identify(document);
  Reader top(document);
  top.find("schema_version");
  top.find("name");
  Scenario scenario;
  scenario.name      = identity.name;
  scenario.hash      = identity.hash;
  scenario.machine   = read_machine(top.at("machine"));
  PlacedMesh placed  = read_mesh(top.at("mesh"), scenario.machine);
  scenario.mesh      = std::move(placed.mesh);
  scenario.placement = std::move(placed.placement);
  if (const auto benchmark = top.find("micro_benchmark"))
    scenario.micro_benchmark = read_micro_benchmark(*benchmark, scenario.mesh, scenario.software.multi_axis);
  else
    read_training(top, scenario);
  if (const auto faults = top.find("faults")) {
    const AxisMask stages = scenario.pipeline.stages > 1 ? scenario.mesh.find(pipeline_axis_name) : 0;
    scenario.faults       = read_faults(*faults, scenario.machine, scenario.placement,
                                  stages != 0 ? std::optional<std::size_t>(std::countr_zero(stages)) : std::nullopt);
    for (const Fault& fault : scenario.faults)
      scenario.machine.overrides.add(fault.effect);
  }
  if (const auto published = top.find("published"))
    for (const Reader& figure : published->elements())
      scenario.published.push_back(read_published(figure, scenario.machine.chip.name));
  top.finish();
  scenario.constants = std::move(document.constants);
  scenario.files     = std::move(document.files);
  return scenario;
}

} // namespace podsim
