#include "scenarios/scenario.hpp"

#include "sim/core/input.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
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
    remat.complain("\"repeats_logits\" needs \"matrix_fraction\"");
  if (remat.find("whole_layers"))
    read.whole_layers = remat.constant("whole_layers").fraction();
  if (read.whole_layers > 0 && !read.matrix_fraction)
    remat.complain("\"whole_layers\" needs \"matrix_fraction\", which says what they save of the products");
  return read;
}

TrainingStep read_step(Reader workload)
{
  TrainingStep read;
  read.batch      = workload.at("batch").count(1, 100'000'000);
  read.sequence   = workload.at("sequence").count(1, 100'000'000);
  Reader remat    = workload.at("remat");
  read.remat_name = remat.at("name").text();
  read.remat      = read_remat(remat);
  remat.finish();
  read.optimizer = workload.at("optimizer").choice(optimizers());
  if (const auto micro = workload.find("micro_batch"))
    read.micro_batch = micro->count(1, 100'000'000);
  if (const auto dropout = workload.find("dropout"))
    read.dropout = dropout->flag();
  workload.finish();
  return read;
}

Pipeline read_schedule(Reader own)
{
  Pipeline pipeline;
  pipeline.schedule = own.at("schedule").choice(pipeline_schedules());
  if (pipeline.schedule == PipelineSchedule::interleaved)
    pipeline.chunks = own.at("chunks").count(2, 1000);
  if (const auto list = own.find("layers")) {
    for (const Reader& count : list->elements())
      pipeline.layers.push_back(count.count(0, 10'000)); // none: the embedding or the loss by itself
    if (pipeline.layers.empty())
      list->misread("a list with the number of layers of each piece");
  }
  own.finish();
  return pipeline;
}

// Stages follow each other along one axis of the machine, whose other rings do not go through them.
void check_stage_places(const Reader& own, const Scenario& scenario, AxisMask axis)
{
  const AxisPlacement& placement = scenario.placement[static_cast<std::size_t>(std::countr_zero(axis))];
  std::int64_t longer            = 0;
  for (const AxisFactor& factor : placement) {
    const bool torus = scenario.machine.lattice.axes[factor.axis].kind == AxisKind::ici;
    longer += factor.length > 1 ? 1 : 0;
    if (!torus || factor.length == 1)
      continue;
    if (factor.stride > 1 || (scenario.training().pipeline.chunks > 1 && !factor.closed))
      own.fail("stages on a torus axis must be neighbours, and on a ring where the schedule is interleaved");
    for (const AxisPlacement& other : scenario.placement)
      for (const AxisFactor& ring : other)
        if (ring.axis == factor.axis && ring.length > 1 && ring.stride > 1)
          own.fail(fmt::format("rings of another mesh axis over every {}th chip of {} would go through chips of other "
                               "stages",
                               ring.stride, scenario.machine.lattice.axes[factor.axis].name));
  }
  if (longer > 1)
    own.fail("stages must lie along one axis of the machine");
}

// How many layers each piece of the model has.
void fill_pieces(const Reader& own, Scenario& scenario)
{
  std::vector<std::int64_t>& layers = scenario.training().pipeline.layers;
  const std::int64_t pieces         = scenario.training().pipeline.stages * scenario.training().pipeline.chunks;
  if (layers.empty()) {
    if (scenario.training().model.layers % pieces != 0)
      own.fail(fmt::format("{} layers do not divide into {} equal pieces (stages x chunks); give "
                           "\"layers\", a list of how many each piece has",
                           scenario.training().model.layers, pieces));
    layers.assign(static_cast<std::size_t>(pieces), scenario.training().model.layers / pieces);
  }
  if (static_cast<std::int64_t>(layers.size()) != pieces ||
      std::accumulate(layers.begin(), layers.end(), std::int64_t{0}) != scenario.training().model.layers)
    own.fail(fmt::format("\"layers\" must be {} numbers that add up to {}", pieces, scenario.training().model.layers));
  if (const std::int64_t every =
          scenario.training().model.experts.count > 0 ? scenario.training().model.experts.every : 1;
      std::any_of(layers.begin(), layers.end(), [&](std::int64_t count) { return count % every != 0; }))
    own.fail(fmt::format("each piece must have a multiple of {} layers, with experts in the last", every));
}

// Micro-batches and pipeline stages, of what is sound by itself. `own`: the scenario's "pipeline".
void check_pipeline(Reader& top, const std::optional<Reader>& own, Scenario& scenario)
{
  Pipeline& pipeline   = scenario.training().pipeline;
  const AxisMask split = scenario.training().sharding.compute[static_cast<std::size_t>(Dim::batch)];
  const AxisMask axis  = scenario.mesh.find(pipeline_axis_name);
  Reader workload      = top.at("workload");
  if (scenario.training().step.micro_batch > 0) {
    const std::int64_t replicas = scenario.mesh.size(split);
    const std::int64_t together = scenario.training().step.micro_batch * replicas;
    if (scenario.training().step.batch % together != 0)
      workload.at("micro_batch")
          .fail(fmt::format("{} sequences on each of {} replicas do not divide a batch of {}",
                            scenario.training().step.micro_batch, replicas, scenario.training().step.batch));
    pipeline.micro_batches = scenario.training().step.batch / together;
  }
  pipeline.stages = axis != 0 ? scenario.mesh.size(axis) : 1;
  if (own && axis == 0)
    own->fail(fmt::format("the mesh has no axis \"{}\" for its stages", pipeline_axis_name));
  if (own && pipeline.chunks > 1 && pipeline.stages == 1)
    own->fail("an interleaved schedule needs more than one stage");
  if (!own && pipeline.stages > 1)
    top.fail("a mesh with the axis \"pipeline\" needs a \"pipeline\", like {\"schedule\": \"1f1b\"}");
  // A schedule is a list of all that its stages run, and each pass of a micro-batch through a layer may be simulated.
  if (constexpr std::int64_t most = 2'000'000; pipeline.micro_batches * scenario.training().model.layers > most)
    workload.at("micro_batch")
        .fail(
            fmt::format("{} micro-batches through {} layers are more than {} passes; a larger micro-batch needs fewer",
                        pipeline.micro_batches, scenario.training().model.layers, most));
  fill_pieces(own ? *own : top, scenario);
  if (pipeline.schedule == PipelineSchedule::interleaved && pipeline.micro_batches % pipeline.stages != 0)
    own->fail(fmt::format("an interleaved schedule needs micro-batches in multiples of its {} stages; there are {}",
                          pipeline.stages, pipeline.micro_batches));
  if (own)
    check_stage_places(*own, scenario, axis);
}

// Devices along a mesh axis that splits nothing all do the same: a slip, unless the scenario says that it is meant.
void check_used_axes(Reader& top, const Scenario& scenario)
{
  AxisMask meant = 0;
  if (const auto replicated = top.find("replicated"))
    for (const Reader& axis : replicated->elements()) {
      const std::string name = axis.text();
      const AxisMask found   = scenario.mesh.find(name);
      std::vector<std::string> known;
      for (const MeshAxis& one : scenario.mesh.axes)
        known.push_back(one.name);
      if (found == 0)
        axis.misread("the name of a mesh axis", did_you_mean(name, known));
      else if (name == pipeline_axis_name || (scenario.training().sharding.used() & found) != 0)
        axis.complain(fmt::format("the axis \"{}\" is not replicated: {}", name,
                                  name == pipeline_axis_name ? "it has the stages" : "a rule of the sharding uses it"));
      meant |= found;
    }
  for (const MeshAxis& axis : scenario.mesh.axes) {
    const AxisMask own = scenario.mesh.find(axis.name);
    if (axis.size == 1 || axis.name == pipeline_axis_name || ((scenario.training().sharding.used() | meant) & own) != 0)
      continue;
    top.at("mesh").at(axis.name).complain(
        fmt::format("no rule of this sharding uses the axis; its rules know {} (if its devices shall all do the same: "
                    "\"replicated\": [\"{}\"])",
                    scenario.training().sharding.known.empty()
                        ? "none"
                        : fmt::format("{}", fmt::join(scenario.training().sharding.known, ", ")),
                    printable(axis.name)));
  }
}

// {"matrix_product": [rows, depth, columns]}, in bf16; {"copy": "33.5 MB"}, read and written; or {"collective":
// "all-gather", "axes": ["data"], "size": "34 MB"} (of the full tensor).
MicroBenchmark read_micro_benchmark(Reader benchmark, const Mesh& mesh, CollectiveChoices& choices)
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
      choices.multi_axis = use->choice(multi_axis_names());
    if (const auto use = benchmark.find("dcn_all_reduce"))
      choices.dcn_all_reduce = use->choice(dcn_all_reduces());
    read.description =
        fmt::format("{} {} of {} over {}", operation.collective.kind == CollectiveKind::all_gather ? "an" : "one",
                    name(operation.collective.kind), size.text(), mesh.names(operation.collective.axes));
  }
  operation.name = read.description;
  benchmark.finish();
  return read;
}

// What a mesh axis splits must have a part for each of its devices, and a whole number of sequences and heads. Weights,
// their gradients and the optimizer's state may lie in unequal parts: they are split as a whole, padded.
void check_divisions(Reader& top, const Scenario& scenario)
{
  const auto check = [&](Dim dim, std::int64_t size, const char* part, const char* key, const std::string& what) {
    for (const DimAxes& table : {scenario.training().sharding.compute, scenario.training().sharding.activations}) {
      const AxisMask split     = table[static_cast<std::size_t>(dim)];
      const std::string axes   = scenario.mesh.names(split);
      const std::int64_t parts = scenario.mesh.size(split);
      if (size % parts == 0)
        continue;
      const std::string complaint =
          fmt::format("{} {} cannot be divided over the {} devices of the mesh axis {}", size, what, parts, axes);
      Reader mesh        = top.at("mesh");
      const Reader value = top.at(part).at(key);
      const bool single  = (split & (split - 1)) == 0;
      if (value.of_the_user())
        value.complain(complaint);
      else if (single)
        mesh.at(axes).at("size").complain(fmt::format("{}: the {}.{} of {}", complaint, part, key, value.origin()));
      else
        mesh.complain(fmt::format("{}: the {}.{} of {}", complaint, part, key, value.origin()));
      return;
    }
  };
  check(Dim::batch, scenario.training().step.batch / scenario.training().pipeline.micro_batches, "workload", "batch",
        scenario.training().pipeline.micro_batches > 1 ? "sequences of a micro-batch" : "sequences");
  check(Dim::sequence, scenario.training().step.sequence, "workload", "sequence", "tokens of a sequence");
  check(Dim::heads, scenario.training().model.heads, "model", "heads", "heads");
  if (scenario.training().model.experts.count > 0)
    check(Dim::expert, scenario.training().model.experts.count, "model", "experts", "experts");
  check(Dim::mlp, scenario.training().model.d_ff, "model", "d_ff", "channels of the MLP");
  check(Dim::embed, scenario.training().model.d_model, "model", "d_model", "channels");
}

// Groups of tokens for the experts are whole within the tokens of a step and at least one for each device.
void check_groups(Reader& top, const Scenario& scenario)
{
  const std::int64_t group = scenario.training().model.experts.group;
  if (scenario.training().model.experts.count == 0 || group == 0)
    return;
  const std::int64_t tokens =
      scenario.training().step.batch / scenario.training().pipeline.micro_batches * scenario.training().step.sequence;
  for (const DimAxes& table : {scenario.training().sharding.compute, scenario.training().sharding.activations}) {
    const std::int64_t parts = scenario.mesh.size(table[static_cast<std::size_t>(Dim::batch)]);
    if (tokens % (group * parts) != 0)
      top.at("model").at("experts").at("group").complain_to_user(
          fmt::format("{} tokens a step cannot be divided into groups of {} on {} devices", tokens, group, parts));
  }
}

// A list of what remat keeps must name tensors of a layer.
void check_kept(Reader& top, const Scenario& scenario, const Scenario* before)
{
  if (scenario.training().step.remat.keep != Remat::Keep::listed)
    return;
  if (before && before->training().step.remat == scenario.training().step.remat &&
      before->training().model == scenario.training().model &&
      before->software.precision == scenario.software.precision)
    return;
  std::vector<std::string> known;
  for (const Tensor& tensor : forward_pass(scenario.training().model, scenario.training().step.batch,
                                           scenario.training().step.sequence, scenario.software.precision)
                                  .layer.tensors)
    if (tensor.kind == TensorKind::activation)
      known.push_back(tensor.name);
  for (const Reader& kept : top.at("workload").at("remat").at("keep").elements())
    if (std::find(known.begin(), known.end(), kept.text()) == known.end())
      kept.complain_to_user(fmt::format("expected the name of a tensor in a layer, found \"{}\"{}",
                                        printable(kept.text()), did_you_mean(kept.text(), known)));
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
  std::vector<std::pair<std::string, const Figure*>> names;
  for (const Figure* row : figures_in(Listing::published))
    names.emplace_back(row->name, row);
  const Reader metric = figure.at("metric");
  read.metric         = metric.choice(names);
  const Figure& known = *read.metric; // of what it should be, where that is wrong
  if (const auto other = figure.find("relative_to")) {
    read.relative_to   = other->text();
    read.relative_file = beside_origin(*other);
    std::error_code error;
    if (std::filesystem::equivalent(read.relative_file, figure.at("value").origin(), error))
      other->complain("is this scenario itself");
  }
  const Reader unit = figure.at("unit");
  read.unit         = unit.text();
  if (!metric.sound())
    unit.text();
  else
    read.base_units = read.relative_to.empty() ? unit.choice(known.units) : unit.choice<double>({{"x", 1}});
  const Reader value = figure.at("value");
  read.value         = value.number() * read.base_units;
  if (!(read.value > 0 && read.value < 1e30))
    value.misread("a positive number below 1e30");
  const Reader convention = figure.at("convention");
  if (metric.sound())
    read.counting = convention.choice(known.conventions);
  read.convention = convention.text();
  read.statistic  = figure.at("statistic")
                       .choice<std::string>({{"best", "best"},
                                             {"median", "median"},
                                             {"average", "average"},
                                             {"analytic", "analytic"},
                                             {"unstated", "unstated"}});
  read.calibration = figure.at("calibration").flag();
  read.source      = figure.at("source").text();
  read.family      = usual_family(known, chip);
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

// Each part by itself, and what they are together where all are sound. `before`: a first reading, of the same mesh.
void read_training(Reader& top, Scenario& scenario, const Scenario* before)
{
  const bool known_mesh = top.at("mesh").sound();
  Training& training    = scenario.training();
  // What a part comes to, which depends on `known` that has been read before it.
  const auto part = [&](const char* key, const auto& read, auto& own, const auto* own_before, bool known = true) {
    Reader at       = top.at(key);
    const bool same = own_before && known && at.taken_as_before();
    if (same)
      own = *own_before;
    else
      top.attempt([&] { own = read(at); });
    return same;
  };
  const Training* trained = before ? &before->training() : nullptr;
  part("model", read_transformer, training.model, trained ? &trained->model : nullptr);
  part("workload", read_step, training.step, trained ? &trained->step : nullptr);
  const bool same_sharding = part(
      "sharding", [&](const Reader& at) { return read_sharding(at, scenario.mesh); }, training.sharding,
      trained ? &trained->sharding : nullptr);
  part(
      "software", [&](const Reader& at) { return read_software(at, scenario.mesh, training.sharding); },
      scenario.software, before ? &before->software : nullptr, same_sharding);
  const std::optional<Reader> pipeline = top.find("pipeline");
  if (pipeline)
    top.attempt([&] { scenario.training().pipeline = read_schedule(*pipeline); });
  if (known_mesh && top.at("sharding").sound())
    check_used_axes(top, scenario);
  else
    top.find("replicated");
  scenario.training().model.dropout = scenario.training().step.dropout;
}

void check_training(Reader& top, Scenario& scenario, const Scenario* before)
{
  const std::optional<Reader> pipeline = top.find("pipeline");
  if (!top.attempt([&] { check_pipeline(top, pipeline, scenario); }))
    return;
  top.attempt([&] { check_divisions(top, scenario); });
  top.attempt([&] { check_groups(top, scenario); });
  top.attempt([&] { check_kept(top, scenario, before); });
  if (scenario.training().model.positions == Positions::learned &&
      scenario.training().step.sequence > scenario.training().model.max_positions)
    top.at("workload")
        .at("sequence")
        .complain(
            fmt::format("the model has learned positions for {} tokens only", scenario.training().model.max_positions));
}

void read_all_faults(const Reader& faults, Scenario& scenario)
{
  const AxisMask found  = scenario.micro_benchmark() ? 0 : scenario.mesh.find(pipeline_axis_name);
  const AxisMask stages = scenario.mesh.size(found) > 1 ? found : 0;
  scenario.faults       = read_faults(faults, scenario.machine, scenario.placement,
                                stages != 0 ? std::optional<std::size_t>(std::countr_zero(stages)) : std::nullopt);
  for (const Fault& fault : scenario.faults)
    scenario.machine.overrides.add(fault.effect);
}

Scenario read(Document& document, const Scenario* before)
{
  document.keeps_mistakes = true;
  Reader top(document);
  Scenario scenario;
  top.at("schema_version").count(1, 1);
  scenario.name      = top.at("name").text();
  scenario.hash      = content_hash(document);
  const bool machine = top.attempt([&] {
    Reader own = top.at("machine");
    scenario.machine =
        before && own.taken_as_before() ? before->machine : read_machine(own, before ? &before->machine : nullptr);
    scenario.machine.overrides = {};
  }) && top.at("machine").sound();
  PlacedMesh placed  = read_mesh(top.at("mesh"), machine ? &scenario.machine : nullptr);
  scenario.mesh      = std::move(placed.mesh);
  scenario.placement = std::move(placed.placement);
  if (const auto benchmark = top.find("micro_benchmark"))
    top.attempt(
        [&] { scenario.workload = read_micro_benchmark(*benchmark, scenario.mesh, scenario.software.collectives); });
  else
    read_training(top, scenario, before && before->mesh == scenario.mesh ? before : nullptr);
  if (auto published = top.find("published");
      published && before && before->machine.chip.name == scenario.machine.chip.name && published->taken_as_before())
    scenario.published = before->published;
  else if (published)
    for (const Reader& figure : published->elements())
      top.attempt([&] { scenario.published.push_back(read_published(figure, scenario.machine.chip.name)); });
  std::optional<CannotRun> refused = placed.refused;
  if (const auto faults = top.find("faults"); faults && machine && top.at("mesh").sound() && !refused)
    top.attempt([&] {
      try {
        read_all_faults(*faults, scenario);
      } catch (const CannotRun& reason) {
        refused = reason;
      }
    });
  top.finish();
  document.tell_mistakes();
  if (refused)
    throw *refused;
  if (!scenario.micro_benchmark())
    check_training(top, scenario, before);
  document.tell_mistakes();
  return scenario;
}

} // namespace

ScenarioIdentity identify(const Document& document)
{
  const Json& json = *document.json;
  const auto name  = json.is_object() ? json.find("name") : json.end();
  return {name != json.end() && name->is_string() ? name->get<std::string>() : "", content_hash(document)};
}

Scenario read_scenario(Document&& document)
{
  Scenario scenario  = read(document, nullptr);
  scenario.constants = std::move(document.constants);
  scenario.files     = std::move(document.files);
  return scenario;
}

Scenario read_scenario(Document& document, const Scenario* before, std::vector<std::string> changed)
{
  if (before)
    document.before = {std::move(changed), &before->constants};
  document.constants.clear();
  Scenario scenario  = read(document, before);
  scenario.constants = document.constants;
  scenario.files     = document.files;
  document.before.reset(); // it points into what may go
  return scenario;
}

} // namespace podsim
