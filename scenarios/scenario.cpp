#include "scenarios/scenario.hpp"

#include <algorithm>
#include <fmt/format.h>

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
  if (const auto dropout = workload.find("dropout"))
    read.dropout = dropout->flag();
  workload.finish();
  return read;
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

Software read_software(Reader software, const Mesh& mesh, const ShardingRules& sharding, AxisMask& deferred)
{
  const std::vector<std::pair<std::string, Dtype>> dtypes{{"bf16", Dtype::bf16}, {"f32", Dtype::f32}};
  Software read;
  read.name           = software.at("name").text();
  Reader asynchronous = software.constant("asynchronous");
  for (const Reader& what : asynchronous.elements())
    read.overlap.*what.choice<bool Overlap::*>({{"weight gathers", &Overlap::weight_gathers},
                                                {"gradient reductions", &Overlap::gradient_reductions},
                                                {"activation reductions", &Overlap::activation_reductions},
                                                {"activation gathers", &Overlap::activation_gathers}}) = true;
  read.overlap.prefetch_layers = static_cast<int>(software.constant("prefetch_layers").count(0, 1000));
  read.concurrent_axes =
      software.constant("multi_axis_collectives").choice<bool>({{"sequential", false}, {"concurrent", true}});
  read.precision.weight_gather    = software.constant("weight_gather_dtype").choice(dtypes);
  read.precision.gradient         = software.constant("gradient_dtype").choice(dtypes);
  read.precision.attention_logits = software.constant("attention_logits_dtype").choice(dtypes);
  read.precision.kernels          = read_kernels(software);
  Reader late                     = software.constant("reduce_after_backward");
  for (const Reader& axis : late.elements()) {
    std::vector<std::string> known = usual_axis_names();
    for (const MeshAxis& one : mesh.axes)
      known.push_back(one.name);
    if (std::find(known.begin(), known.end(), axis.text()) == known.end())
      axis.expected("the name of a mesh axis", did_you_mean(axis.text(), known));
    const AxisMask found = mesh.find(axis.text());
    for (const AxisMask split : sharding.weights)
      if ((split & found) != 0)
        axis.fail(fmt::format("gradients are scattered over \"{}\" as its weights are: that cannot wait", axis.text()));
    deferred |= mesh.size(found) > 1 ? found : 0;
  }
  software.finish();
  return read;
}

std::size_t read_torus_axis(const Reader& on, const Torus& torus)
{
  std::vector<std::pair<std::string, std::size_t>> axes;
  for (std::size_t axis = 0; axis < torus.shape.size(); ++axis)
    axes.emplace_back(axis_name(axis), axis);
  return on.choice(axes);
}

// "y", the whole axis, or {"axis": "y", "length": 4, "stride": 2}, a part of it.
TorusFactor read_factor(Reader on, const Torus& torus)
{
  if (on.is_text()) {
    const std::size_t axis = read_torus_axis(on, torus);
    return {axis, torus.shape[axis], 1, torus.closed[axis]};
  }
  TorusFactor factor{read_torus_axis(on.at("axis"), torus), 1, 1, false};
  const std::int64_t size = torus.shape[factor.axis];
  factor.length           = on.at("length").count(1, size);
  if (const auto stride = on.find("stride"))
    factor.stride = stride->count(1, size);
  on.finish();
  if (size % (factor.length * factor.stride) != 0)
    on.fail(fmt::format("length {} with stride {} does not divide the axis of {} chips", factor.length, factor.stride,
                        size));
  const bool whole = factor.length * factor.stride == size;
  factor.closed    = whole && torus.closed[factor.axis];
  if (factor.stride > 1 && !factor.closed)
    on.fail("a stride needs a ring: it must reach around a closed axis");
  return factor;
}

AxisPlacement read_axis_placement(const Reader& on, const Torus& torus)
{
  if (on.is_text() && on.text() == "dcn")
    return {true, {}};
  AxisPlacement placement;
  if (on.is_array())
    for (const Reader& factor : on.elements())
      placement.factors.push_back(read_factor(factor, torus));
  else
    placement.factors.push_back(read_factor(on, torus));
  return placement;
}

std::int64_t capacity(const AxisPlacement& placement, const Machine& machine)
{
  if (placement.on_dcn)
    return machine.pods;
  std::int64_t chips = 1;
  for (const TorusFactor& factor : placement.factors)
    chips *= factor.length;
  return chips;
}

// The parts of a torus axis together must name each of its chips once: each stride spans the parts before it.
void check_interleaved(const Reader& mesh, std::size_t axis, const Placement& placement)
{
  std::vector<TorusFactor> parts;
  for (const AxisPlacement& place : placement)
    for (const TorusFactor& factor : place.factors)
      if (factor.axis == axis && factor.length > 1)
        parts.push_back(factor);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.stride < b.stride; });
  std::int64_t spanned = 1;
  for (const TorusFactor& part : parts) {
    if (part.stride != spanned)
      mesh.fail(fmt::format("the parts of the torus axis {} overlap: the one of length {} needs the stride {}, not {}",
                            axis_name(axis), part.length, spanned, part.stride));
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
    scenario.placement.push_back(read_axis_placement(axis.at("on"), machine.torus));
    axis.finish();
    places.push_back(axis);
    devices *= static_cast<double>(scenario.mesh.axes.back().size);
  }
  if (scenario.mesh.axes.size() > 16)
    mesh.fail("more than 16 axes");
  const auto chips = static_cast<double>(machine.devices());
  if (devices < chips)
    mesh.fail(fmt::format("its axes multiply to {:.0f}, but the machine has {:.0f} chips", devices, chips));
  if (devices > chips)
    throw CannotRun(fmt::format("mesh: its axes multiply to {:.0f}; the machine's {} pod(s) have {:.0f} chips", devices,
                                machine.pods, chips));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::int64_t size = scenario.mesh.axes[i].size;
    const std::int64_t room = capacity(scenario.placement[i], machine);
    const std::string place = fmt::format("{}, which has {}", describe(scenario.placement[i]), room);
    if (size > room)
      throw CannotRun(fmt::format("{}: an axis of {} does not fit on {}", places[i].path(), size, place));
    if (size < room)
      places[i].fail(fmt::format("an axis of {} does not fill {}", size, place));
  }
  for (std::size_t axis = 0; axis < machine.torus.shape.size(); ++axis) {
    std::int64_t used = 1;
    for (const AxisPlacement& placement : scenario.placement)
      for (const TorusFactor& factor : placement.factors)
        used *= factor.axis == axis ? factor.length : 1;
    if (used != machine.torus.shape[axis])
      mesh.fail(fmt::format("the torus axis {} has {} chips, but mesh axes on it multiply to {}", axis_name(axis),
                            machine.torus.shape[axis], used));
    check_interleaved(mesh, axis, scenario.placement);
  }
}

// What a mesh axis splits must have a part for each of its devices, and a whole number of sequences and heads.
void check_divisions(Reader& top, const Scenario& scenario)
{
  const auto check = [&](Dim dim, std::int64_t size, const char* part, const char* key, const char* what) {
    for (const DimAxes& table : {scenario.sharding.compute, scenario.sharding.activations, scenario.sharding.weights}) {
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
  check(Dim::embed, scenario.model.d_model, "model", "d_model", "channels");
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

PublishedFigure read_published(Reader figure)
{
  PublishedFigure read;
  read.id = figure.at("id").text();
  std::vector<std::pair<std::string, Metric>> names;
  for (const MetricInfo& row : metric_table())
    names.emplace_back(row.name, row.metric);
  read.metric    = figure.at("metric").choice(names);
  const auto one = figure.at("unit").choice<double>({{info(read.metric).unit, info(read.metric).base_units}});
  read.value     = figure.at("value").number() * one;
  if (!(read.value > 0 && read.value < 1e30))
    figure.at("value").expected("a positive number below 1e30");
  const std::string& counted = info(read.metric).convention;
  read.convention            = figure.at("convention").choice<std::string>({{counted, counted}});
  read.statistic             = figure.at("statistic")
                       .choice<std::string>({{"best", "best"},
                                             {"median", "median"},
                                             {"average", "average"},
                                             {"analytic", "analytic"},
                                             {"unstated", "unstated"}});
  read.calibration = figure.at("calibration").flag();
  read.source      = figure.at("source").text();
  figure.finish();
  return read;
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
  scenario.name          = identity.name;
  scenario.hash          = identity.hash;
  scenario.model         = read_transformer(top.at("model"));
  scenario.workload      = read_workload(top.at("workload"));
  scenario.model.dropout = scenario.workload.dropout;
  scenario.machine       = read_machine(top.at("machine"));
  read_mesh(top.at("mesh"), scenario.machine, scenario);
  scenario.sharding = read_sharding(top.at("sharding"), scenario.mesh);
  scenario.software = read_software(top.at("software"), scenario.mesh, scenario.sharding, scenario.deferred);
  if (const auto published = top.find("published"))
    for (const Reader& figure : published->elements())
      scenario.published.push_back(read_published(figure));
  top.finish();
  check_divisions(top, scenario);
  check_groups(top, scenario);
  check_kept(top, scenario);
  if (scenario.model.positions == Positions::learned && scenario.workload.sequence > scenario.model.max_positions)
    top.at("workload")
        .at("sequence")
        .fail(fmt::format("the model has learned positions for {} tokens only", scenario.model.max_positions));
  scenario.constants = std::move(document.constants);
  scenario.files     = std::move(document.files);
  return scenario;
}

} // namespace podsim
