#include "scenarios/scenario.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fmt/format.h>
#include <numeric>
#include <utility>

namespace podsim {
namespace {

const std::vector<std::pair<std::string, Dtype>>& dtypes()
{
  static const std::vector<std::pair<std::string, Dtype>> names{{"bf16", Dtype::bf16}, {"f32", Dtype::f32}};
  return names;
}

const std::vector<std::pair<std::string, MultiAxisUse>>& multi_axis_uses()
{
  static const std::vector<std::pair<std::string, MultiAxisUse>> names{{"sequential", MultiAxisUse::sequential},
                                                                       {"concurrent", MultiAxisUse::concurrent},
                                                                       {"pipelined", MultiAxisUse::pipelined}};
  return names;
}

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

// A flag, or "activations": then their gradients go whole.
void read_scattered(const Reader& scattered, Transfers& transfers)
{
  transfers.scattered = scattered.is_text() ? scattered.choice<bool>({{"activations", true}}) : scattered.flag();
  transfers.scattered_gradients = !scattered.is_text() && transfers.scattered;
}

// How gradients of several micro-batches are added up and reduced, and how activations go from stage to stage; absent
// in software that knows neither.
void read_accumulation(Reader& software, Software& read)
{
  Gradients& gradients = read.compilation.gradients;
  if (software.find("gradient_accumulation"))
    gradients.accumulation =
        software.constant("gradient_accumulation")
            .choice<Accumulation>(
                {{"none", Accumulation::none}, {"fused", Accumulation::fused}, {"separate", Accumulation::separate}});
  if (software.find("accumulation_dtype"))
    gradients.accumulator = software.constant("accumulation_dtype").choice(dtypes());
  if (software.find("parameters_dtype"))
    read.precision.parameters = software.constant("parameters_dtype").choice(dtypes());
  if (software.find("reduce_gradients"))
    gradients.last_micro_batch_only =
        software.constant("reduce_gradients").choice<bool>({{"each micro-batch", false}, {"last micro-batch", true}});
  const auto bytes = [&](const char* field, double& read_bytes) {
    if (!software.find(field))
      return;
    const Reader given = software.constant(field);
    read_bytes         = given.number();
    if (!(read_bytes >= 0 && read_bytes <= 1000))
      given.expected("a number of bytes from 0 to 1000");
  };
  bytes("weight_gather_copies", read.compilation.copies.after_weight_gather);
  bytes("gradient_reduction_copies", read.compilation.copies.before_gradient_reduction);
  if (software.find("blocking_transfers"))
    read.compilation.transfers.blocking = software.constant("blocking_transfers").flag();
  if (software.find("scattered_transfers"))
    read_scattered(software.constant("scattered_transfers"), read.compilation.transfers);
  if (software.find("blocking_receives"))
    read.compilation.transfers.blocking_receives = software.constant("blocking_receives").flag();
  if (software.find("combined_collectives"))
    read.compilation.combines = software.constant("combined_collectives").flag();
}

// "unfused", or {"kernel": "fused", ...} with what the kernel reaches.
std::optional<FusedAttention> read_attention(Reader attention)
{
  const std::vector<std::pair<std::string, bool>> kernels{{"unfused", false}, {"fused", true}};
  if (attention.is_text()) {
    if (attention.choice<bool>(kernels))
      attention.fail("\"fused\" needs an object: {\"kernel\": \"fused\", \"causal\": ..., \"forward_efficiency\": ..., "
                     "\"backward_efficiency\": ...}");
    return std::nullopt;
  }
  const bool fused = attention.at("kernel").choice<bool>(kernels);
  FusedAttention kernel;
  if (fused) {
    kernel.skips_masked        = attention.constant("causal").choice<bool>({{"half", true}, {"full", false}});
    kernel.forward_efficiency  = attention.constant("forward_efficiency").fraction();
    kernel.backward_efficiency = attention.constant("backward_efficiency").fraction();
  }
  attention.finish();
  return fused ? std::optional(kernel) : std::nullopt;
}

Kernels read_kernels(Reader& software)
{
  Kernels kernels;
  if (const auto attention = software.find("attention"))
    kernels.attention = read_attention(*attention);
  if (software.find("element_wise"))
    kernels.element_wise = software.constant("element_wise")
                               .choice<ElementWise>({{"xla", ElementWise::xla}, {"kernels", ElementWise::kernels}});
  if (software.find("element_wise_overhead")) {
    const Reader overhead         = software.constant("element_wise_overhead");
    kernels.element_wise_overhead = overhead.number();
    if (!(kernels.element_wise_overhead >= 1 && kernels.element_wise_overhead <= 10))
      overhead.expected("a factor from 1 to 10");
  }
  return kernels;
}

Software read_software(Reader software, const Mesh& mesh, const ShardingRules& sharding)
{
  Software read;
  Overlap& overlap    = read.compilation.overlap;
  AxisMask& deferred  = read.compilation.gradients.after_backward;
  read.name           = software.at("name").text();
  Reader asynchronous = software.constant("asynchronous");
  for (const Reader& what : asynchronous.elements())
    overlap.*what.choice<bool Overlap::*>({{"weight gathers", &Overlap::weight_gathers},
                                           {"gradient reductions", &Overlap::gradient_reductions},
                                           {"activation reductions", &Overlap::activation_reductions},
                                           {"activation gathers", &Overlap::activation_gathers}}) = true;
  overlap.prefetch_layers         = static_cast<int>(software.constant("prefetch_layers").count(0, 1000));
  read.multi_axis                 = software.constant("multi_axis_collectives").choice(multi_axis_uses());
  read.precision.weight_gather    = software.constant("weight_gather_dtype").choice(dtypes());
  read.precision.gradient         = software.constant("gradient_dtype").choice(dtypes());
  read.precision.attention_logits = software.constant("attention_logits_dtype").choice(dtypes());
  read.precision.kernels          = read_kernels(software);
  Reader late                     = software.constant("reduce_after_backward");
  for (const Reader& axis : late.elements()) {
    std::vector<std::string> known = usual_axis_names();
    for (const MeshAxis& one : mesh.axes)
      known.push_back(one.name);
    if (std::find(known.begin(), known.end(), axis.text()) == known.end())
      axis.expected("the name of a mesh axis", did_you_mean(axis.text(), known));
    const AxisMask found = mesh.find(axis.text());
    for (const AxisMask split : sharding.gradients)
      if ((split & found) != 0)
        axis.fail(fmt::format("gradients are scattered over \"{}\" as its weights are: that cannot wait", axis.text()));
    deferred |= mesh.size(found) > 1 ? found : 0;
  }
  read_accumulation(software, read);
  software.finish();
  return read;
}

std::size_t read_lattice_axis(const Reader& on, const Lattice& lattice)
{
  std::vector<std::pair<std::string, std::size_t>> axes;
  for (std::size_t axis = 0; axis < lattice.axes.size(); ++axis)
    axes.emplace_back(lattice.axes[axis].name, axis);
  return on.choice(axes);
}

// "y", the whole axis, or {"axis": "y", "length": 4, "stride": 2}, a part of it.
AxisFactor read_factor(Reader on, const Lattice& lattice)
{
  if (on.is_text()) {
    const std::size_t axis = read_lattice_axis(on, lattice);
    return {axis, lattice.axes[axis].size, 1, lattice.axes[axis].closed};
  }
  AxisFactor factor{read_lattice_axis(on.at("axis"), lattice), 1, 1, false};
  const LatticeAxis& axis = lattice.axes[factor.axis];
  factor.length           = on.at("length").count(1, axis.size);
  if (const auto stride = on.find("stride"))
    factor.stride = stride->count(1, axis.size);
  on.finish();
  if (axis.size % (factor.length * factor.stride) != 0)
    on.fail(fmt::format("length {} with stride {} does not divide the axis of {}", factor.length, factor.stride,
                        axis.size));
  const bool whole    = factor.length * factor.stride == axis.size;
  const bool switched = axis.kind != AxisKind::ici;
  factor.closed       = switched || (whole && axis.closed);
  if (factor.stride > 1 && !factor.closed)
    on.fail("a stride needs a ring: it must reach around a closed axis");
  return factor;
}

AxisPlacement read_axis_placement(const Reader& on, const Lattice& lattice)
{
  AxisPlacement placement;
  if (on.is_array())
    for (const Reader& factor : on.elements())
      placement.push_back(read_factor(factor, lattice));
  else
    placement.push_back(read_factor(on, lattice));
  return placement;
}

std::int64_t capacity(const AxisPlacement& placement)
{
  std::int64_t devices = 1;
  for (const AxisFactor& factor : placement)
    devices *= factor.length;
  return devices;
}

// The parts of a lattice axis together must name each of its places once: each stride spans the parts before it.
void check_interleaved(const Reader& mesh, std::size_t axis, const Placement& placement, const Lattice& lattice)
{
  std::vector<AxisFactor> parts;
  for (const AxisPlacement& place : placement)
    for (const AxisFactor& factor : place)
      if (factor.axis == axis && factor.length > 1)
        parts.push_back(factor);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.stride < b.stride; });
  std::int64_t spanned = 1;
  for (const AxisFactor& part : parts) {
    if (part.stride != spanned)
      mesh.fail(fmt::format("the parts of the axis {} overlap: the one of length {} needs the stride {}, not {}",
                            lattice.axes[axis].name, part.length, spanned, part.stride));
    spanned *= part.length;
  }
}

void read_mesh(Reader mesh, const Machine& machine, Scenario& scenario)
{
  std::vector<Reader> places;
  double devices = 1;
  for (const std::string& name : mesh.keys()) {
    Reader axis = mesh.at(name);
    scenario.mesh.axes.push_back({name, axis.at("size").count(1, 10'000'000)});
    scenario.placement.push_back(read_axis_placement(axis.at("on"), machine.lattice));
    axis.finish();
    places.push_back(axis);
    devices *= static_cast<double>(scenario.mesh.axes.back().size);
  }
  if (scenario.mesh.axes.size() > 16)
    mesh.fail("more than 16 axes");
  const auto there   = static_cast<double>(machine.devices());
  const char* called = machine.chip.devices > 1 ? "cores" : "chips";
  if (devices < there)
    mesh.fail(fmt::format("its axes multiply to {:.0f}, but the machine has {:.0f} {}", devices, there, called));
  if (devices > there)
    throw CannotRun(fmt::format("mesh: its axes multiply to {:.0f}; the machine, {}, has {:.0f} {}", devices,
                                machine.shape(), there, called));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::int64_t size = scenario.mesh.axes[i].size;
    const std::int64_t room = capacity(scenario.placement[i]);
    const std::string place = fmt::format("{}, which has {}", describe(scenario.placement[i], machine), room);
    if (size > room)
      throw CannotRun(fmt::format("{}: an axis of {} does not fit on {}", places[i].path(), size, place));
    if (size < room)
      places[i].fail(fmt::format("an axis of {} does not fill {}", size, place));
  }
  for (std::size_t axis = 0; axis < machine.lattice.axes.size(); ++axis) {
    std::int64_t used = 1;
    for (const AxisPlacement& placement : scenario.placement)
      for (const AxisFactor& factor : placement)
        used *= factor.axis == axis ? factor.length : 1;
    if (used != machine.lattice.axes[axis].size)
      mesh.fail(fmt::format("the machine's axis {} is {} long, but mesh axes on it multiply to {}",
                            machine.lattice.axes[axis].name, machine.lattice.axes[axis].size, used));
    check_interleaved(mesh, axis, scenario.placement, machine.lattice);
  }
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
        layers.push_back(count.count(0, 10'000));
    own->finish();
  } else if (pipeline.stages > 1) {
    top.fail("a mesh with the axis \"pipeline\" needs a \"pipeline\", like {\"schedule\": \"1f1b\"}");
  }
  const std::int64_t pieces = pipeline.stages * pipeline.chunks;
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
MicroBenchmark read_micro_benchmark(Reader benchmark, const Mesh& mesh, MultiAxisUse& multi_axis)
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
      multi_axis = use->choice(multi_axis_uses());
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
  check(Dim::batch, scenario.workload.batch, "workload", "batch", "sequences");
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
  const std::int64_t tokens = scenario.workload.batch * scenario.workload.sequence;
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
                                                           : std::filesystem::path(origin).parent_path();
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
  scenario.name    = identity.name;
  scenario.hash    = identity.hash;
  scenario.machine = read_machine(top.at("machine"));
  read_mesh(top.at("mesh"), scenario.machine, scenario);
  if (const auto benchmark = top.find("micro_benchmark"))
    scenario.micro_benchmark = read_micro_benchmark(*benchmark, scenario.mesh, scenario.software.multi_axis);
  else
    read_training(top, scenario);
  if (const auto published = top.find("published"))
    for (const Reader& figure : published->elements())
      scenario.published.push_back(read_published(figure, scenario.machine.chip.name));
  top.finish();
  scenario.constants = std::move(document.constants);
  scenario.files     = std::move(document.files);
  return scenario;
}

} // namespace podsim
