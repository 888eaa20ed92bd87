#include "tests/random/draw.hpp"

#include "sim/collectives/dcn_all_reduces.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <numeric>
#include <sstream>
#include <string>

namespace podsim::test {
namespace {

using nlohmann::json;

// An axis of a machine as the generator sees it.
struct MachineAxis {
  std::string name;
  std::int64_t size;
  bool torus;
  bool closed;
};

struct DrawnMachine {
  json text;
  std::vector<MachineAxis> axes;
  bool gpus = false;
};

std::string scaled(double value, const char* unit)
{
  return fmt::format("{:.6g} {}", value, unit);
}

// Sizes of a torus whose product is small.
std::vector<std::int64_t> draw_shape(Dice& dice, int dimensions, std::int64_t most)
{
  for (;;) {
    std::vector<std::int64_t> shape;
    std::int64_t chips = 1;
    for (int i = 0; i < dimensions; ++i) {
      shape.push_back(dice.one_of<std::int64_t>({1, 2, 2, 2, 3, 4, 4, 6}));
      chips *= shape.back();
    }
    if (chips <= most)
      return shape;
  }
}

// Links and latencies of any proportion to the chip's speed: what hides what depends on it.
void draw_wires(Dice& dice, json& machine, bool gpus)
{
  if (dice.chance(0.6))
    machine["host"]["nic_bandwidth"] = scaled(dice.one_of({0.3, 1.0, 3.0, 12.0, 50.0}), "GB/s");
  if (dice.chance(0.6))
    machine["dcn"]["latency"] = scaled(dice.one_of({0.1, 1.0, 3.7, 20.0, 100.0}), "us");
  if (dice.chance(0.2))
    machine["host"]["pcie_bandwidth"] = scaled(dice.one_of({0.5, 4.0, 24.0}), "GB/s");
  json& local = machine[gpus ? "nvlink" : "ici"];
  if (dice.chance(0.5))
    local[gpus ? "bandwidth" : "link_bandwidth"] = scaled(dice.one_of({0.5, 2.0, 10.0, 45.0, 230.0}), "GB/s");
  if (dice.chance(0.4))
    local[gpus ? "latency" : "hop_latency"] = scaled(dice.one_of({0.1, 1.0, 5.8}), "us");
}

DrawnMachine draw_torus(Dice& dice)
{
  DrawnMachine drawn;
  const std::string base = dice.one_of<std::string>({"tpu-v4", "tpu-v4", "tpu-v5p", "tpu-v5e", "tpu-v3", "tpu-v2"});
  const bool cubes       = base == "tpu-v4" || base == "tpu-v5p";
  const bool cores       = base == "tpu-v3" || base == "tpu-v2";
  const std::vector<std::int64_t> shape = draw_shape(dice, cubes ? 3 : 2, cores ? 8 : dice.chance(0.1) ? 64 : 16);
  const bool closed                     = dice.chance(0.7);
  const std::int64_t pods               = dice.one_of<std::int64_t>({1, 1, 2, 2, 2, 3, 4, 5});
  drawn.text          = {{"base", base}, {"slice", fmt::format("{}", fmt::join(shape, "x"))}, {"pods", pods}};
  const bool as_built = cubes && dice.chance(0.15); // by the catalogue's own cubes
  if (!as_built)
    drawn.text["ici"][cubes ? "cube" : "closed_axis"] = closed ? 1 : cubes ? 7 : 64;
  if (cores)
    drawn.axes.push_back({"core", 2, false, true});
  const bool whole = std::all_of(shape.begin(), shape.end(), [](std::int64_t size) { return size % 4 == 0; });
  for (std::size_t i = 0; i < shape.size(); ++i)
    drawn.axes.push_back({std::string(1, static_cast<char>('x' + i)), shape[i], true, as_built ? whole : closed});
  drawn.axes.push_back({"dcn", pods, false, true});
  draw_wires(dice, drawn.text, false);
  return drawn;
}

DrawnMachine draw_nodes(Dice& dice)
{
  const std::int64_t gpus  = dice.one_of<std::int64_t>({1, 1, 2, 2, 4, 8, 3, 6});
  const std::int64_t nodes = dice.one_of<std::int64_t>({1, 2, 2, 3, 4, 4, 6, 8});
  const std::int64_t nics  = dice.chance(0.6) ? gpus : dice.chance(0.5) ? 1 : std::gcd(gpus, std::int64_t{2});
  DrawnMachine drawn;
  drawn.gpus = true;
  drawn.text = {{"base", dice.one_of<std::string>({"dgx-a100-80gb", "dgx-h100", "dgx-1-v100", "a100-80gb-roce"})},
                {"nodes", nodes},
                {"nvlink", {{"gpus", gpus}}},
                {"host", {{"nics", nics}}}};
  drawn.axes = {{"nvlink", gpus, false, true}, {"dcn", nodes, false, true}};
  draw_wires(dice, drawn.text, true);
  return drawn;
}

DrawnMachine draw_machine(Dice& dice)
{
  for (;;) {
    DrawnMachine drawn = dice.chance(0.45) ? draw_torus(dice) : draw_nodes(dice);
    for (const MachineAxis& axis : drawn.axes)
      if (axis.size > 1)
        return drawn; // else one device has nobody to talk to
  }
}

// A part of a machine's axis for a mesh axis to lie on.
struct Atom {
  std::size_t axis;
  std::int64_t length, stride;
  bool whole;
};

std::vector<Atom> cut(Dice& dice, const std::vector<MachineAxis>& axes, bool stages)
{
  std::vector<Atom> atoms;
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    const std::int64_t size = axes[axis].size;
    std::vector<std::int64_t> divisors;
    for (std::int64_t d = 2; d < size; ++d)
      if (size % d == 0)
        divisors.push_back(d);
    if (!divisors.empty() && axes[axis].closed && dice.chance(stages && axes[axis].name == "dcn" ? 0.8 : 0.4)) {
      const std::int64_t near = dice.one_of(divisors);
      atoms.push_back({axis, near, 1, false});
      atoms.push_back({axis, size / near, near, false});
    } else if (size > 1) {
      atoms.push_back({axis, size, 1, true});
    }
  }
  return atoms;
}

// The shardings of the catalogue and the mesh axes that their rules know.
struct KnownSharding {
  const char* name;
  std::vector<std::string> axes;
  bool scatters = false; // weights over data, and their gradients with them
};

const std::vector<KnownSharding>& shardings()
{
  static const std::vector<KnownSharding> all{
      {"data-parallel", {"data", "pod"}},
      {"fsdp", {"data", "pod"}, true},
      {"gspmd-2d", {"data", "model", "pod"}, true},
      {"gspmd-2d-experts", {"data", "model", "pod"}, true},
      {"tensor-1d", {"data", "model", "pod"}},
      {"tensor-1d-zero1", {"data", "model", "pod"}},
      {"model-zero-1", {"data", "model", "pod"}},
      {"sequence-parallel", {"data", "model", "pod"}},
      {"context", {"context", "data", "model", "pod"}},
  };
  return all;
}

struct DrawnMesh {
  json text;
  std::map<std::string, std::int64_t> sizes;
  std::int64_t size(const std::string& name) const
  {
    const auto found = sizes.find(name);
    return found == sizes.end() ? 1 : found->second;
  }
};

DrawnMesh draw_mesh(Dice& dice, const DrawnMachine& machine, const KnownSharding& sharding, bool stages)
{
  std::vector<Atom> atoms = cut(dice, machine.axes, stages);
  dice.shuffle(atoms);
  DrawnMesh mesh;
  if (stages && dice.chance(0.5)) // stages and replicas then share NICs
    std::stable_partition(atoms.begin(), atoms.end(),
                          [&](const Atom& atom) { return machine.axes[atom.axis].name == "dcn"; });
  bool first = true;
  for (const Atom& atom : atoms) {
    const MachineAxis& on = machine.axes[atom.axis];
    std::string name      = dice.one_of(sharding.axes);
    if (stages && first)
      name = "pipeline";
    else if (name == "pod" && on.name != "dcn")
      name = "data"; // pods are joined by the DCN
    else if (on.name == "dcn" && dice.chance(0.4))
      name = "pod";
    json& axis = mesh.text[name];
    const json at =
        atom.whole ? json(on.name) : json{{"axis", on.name}, {"length", atom.length}, {"stride", atom.stride}};
    axis["on"].push_back(at);
    mesh.sizes[name] = mesh.size(name) * atom.length;
    axis["size"]     = mesh.sizes[name];
    first            = false;
  }
  if (sharding.axes.front() == "context" && !mesh.text.contains("context"))
    mesh.text["context"] = {{"size", 1}, {"on", json::array({{{"axis", "dcn"}, {"length", 1}}})}};
  return mesh;
}

json draw_model(Dice& dice, std::int64_t layers, std::int64_t every, const DrawnMesh& mesh, bool experts)
{
  const std::int64_t heads    = dice.one_of<std::int64_t>({12, 24, 24});
  const std::int64_t kv_heads = dice.one_of<std::int64_t>({1, heads, heads, heads / 2, heads / 3});
  json model{{"name", "drawn"},
             {"source", "drawn"},
             {"kind", dice.one_of<std::string>({"decoder", "decoder", "encoder"})},
             {"layers", layers},
             {"d_model", dice.one_of({192, 384, 768, 1536})},
             {"d_ff", dice.one_of({384, 768, 3072})},
             {"heads", heads},
             {"key_value_heads", kv_heads},
             {"head_dim", dice.one_of({8, 16, 64})},
             {"vocabulary", dice.one_of({1000, 1024, 8000})},
             {"mlp", dice.one_of<std::string>({"plain", "gated"})},
             {"block", dice.one_of<std::string>({"serial", "parallel"})},
             {"positions", dice.one_of<json>(
                               {"rotary", "alibi", "none", "transformer-xl", {{"relative", 32}}, {{"learned", 1024}}})},
             {"tied_embedding", dice.chance(0.5)},
             {"norm_scale", dice.chance(0.5)}};
  if (experts)
    model["experts"] = {{"count", std::max<std::int64_t>(2, mesh.size("data") * dice.integer(1, 2))},
                        {"top_k", dice.integer(1, 2)},
                        {"every", every},
                        {"capacity_factor", dice.one_of({1.0, 1.25, 2.0})},
                        {"mlp", dice.one_of<std::string>({"plain", "gated"})}};
  else if (dice.chance(0.3))
    model["biases"] = true;
  return model;
}

json draw_software(Dice& dice, const DrawnMachine& machine, const DrawnMesh& mesh, const KnownSharding& sharding)
{
  const std::vector<std::string> xla{"xla-tpu-2021", "xla-tpu-2023", "xla-tpu-2024"};
  const std::vector<std::string> cuda{"deepspeed-zero3-2021",
                                      "llm-foundry-2023",
                                      "llm-foundry-2023-h100",
                                      "megatron-2021-ddp-torch",
                                      "megatron-2021",
                                      "megatron-2022",
                                      "megatron-deepspeed-2021",
                                      "megatron-deepspeed-2022",
                                      "nemo-2025",
                                      "pytorch-2020",
                                      "torchtitan-2024",
                                      "zero-bubble-2023"};
  json software{{"base", dice.one_of(machine.gpus != dice.chance(0.15) ? cuda : xla)}};
  const auto may = [&](const char* field, const json& value) {
    if (dice.chance(0.15))
      software[field] = value;
  };
  json overlapped = json::array();
  for (const char* kind : {"weight gathers", "gradient reductions", "activation reductions", "activation gathers"})
    if (dice.chance(0.5))
      overlapped.push_back(kind);
  json late = json::array();
  for (const char* name : {"pod", "data", "context"})
    if (mesh.size(name) > 1 && !(sharding.scatters && std::string(name) == "data") && dice.chance(0.4))
      late.push_back(name);
  if (dice.chance(0.4))
    software["asynchronous"] = overlapped;
  if (dice.chance(0.4))
    software["prefetch_layers"] = dice.integer(0, 3);
  if (dice.chance(0.3))
    software["multi_axis_collectives"] = dice.one_of<std::string>({"sequential", "concurrent", "pipelined"});
  if (machine.axes.back().size > 1 && dice.chance(0.4))
    software["dcn_all_reduce"] = dice.one_of(dcn_all_reduces()).first;
  if (dice.chance(0.4) || (sharding.scatters && machine.gpus)) // software of Megatron's kind has "data" there
    software["reduce_after_backward"] = late;
  may("weight_gather_dtype", dice.one_of<std::string>({"bf16", "f32"}));
  may("gradient_dtype", dice.one_of<std::string>({"bf16", "f32"}));
  may("attention_logits_dtype", dice.one_of<std::string>({"bf16", "f32"}));
  may("attention", "unfused");
  may("element_wise", dice.one_of<std::string>({"xla", "kernels"}));
  may("element_wise_overhead", dice.one_of({1.0, 2.5}));
  may("gradient_accumulation", dice.one_of<std::string>({"none", "fused", "separate"}));
  may("accumulation_dtype", dice.one_of<std::string>({"bf16", "f32"}));
  may("reduce_gradients", dice.one_of<std::string>({"each micro-batch", "last micro-batch"}));
  may("weight_gather_copies", dice.integer(0, 8));
  may("gradient_reduction_copies", dice.integer(0, 8));
  may("blocking_transfers", dice.chance(0.5));
  may("scattered_transfers", dice.one_of<json>({true, false, "activations"}));
  may("blocking_receives", dice.chance(0.5));
  may("combined_collectives", dice.chance(0.5));
  return software;
}

double draw_speed(Dice& dice)
{
  return dice.one_of({0.999999, 0.99, 0.9, 0.8, 0.5, 0.1});
}

// Where a chip is.
json draw_place(Dice& dice, const DrawnMachine& machine)
{
  json at = json::object();
  for (const MachineAxis& axis : machine.axes)
    if (axis.size > 1 && (axis.name != "core" || dice.chance(0.3)))
      at[axis.name == "dcn" ? machine.gpus ? "node" : "pod" : axis.name] = dice.integer(0, axis.size - 1);
  return at;
}

json draw_link(Dice& dice, const DrawnMachine& machine)
{
  std::vector<const MachineAxis*> axes;
  for (const MachineAxis& axis : machine.axes)
    if (axis.size > 1 && axis.name != "dcn")
      axes.push_back(&axis);
  if (axes.empty())
    return nullptr;
  const MachineAxis& axis = *dice.one_of(axes);
  json link{{"at", draw_place(dice, machine)}, {"axis", axis.name}};
  if (axis.torus && !axis.closed)
    link["at"][axis.name] = dice.integer(0, axis.size - 2);
  if (axis.torus && dice.chance(0.2)) {
    link["dead"] = true;
  } else {
    link["bandwidth"] = draw_speed(dice);
    if (axis.torus && dice.chance(0.3))
      link["direction"] = dice.one_of<std::string>({"up", "down"});
  }
  return link;
}

json draw_random(Dice& dice, const DrawnMachine& machine)
{
  json random{{"seed", dice.integer(0, 1000)}};
  random["chips"] = {{"rate", 0.15}, {dice.one_of<std::string>({"compute", "hbm"}), draw_speed(dice)}};
  if (!machine.gpus && dice.chance(0.5))
    random["links"] = {{"rate", 0.1}, {"bandwidth", draw_speed(dice)}};
  if (machine.axes.back().size > 1 && dice.chance(0.5))
    random["hosts"] = {{"rate", 0.2}, {"nic", draw_speed(dice)}};
  return random;
}

// One fault more, into the lists of a scenario's faults.
void add_fault(Dice& dice, const DrawnMachine& machine, json& faults)
{
  const std::int64_t pods = machine.axes.back().size;
  const auto speeds       = [&](json fault) {
    const std::int64_t which = dice.integer(0, 2);
    if (which != 1)
      fault["compute"] = draw_speed(dice);
    if (which != 0)
      fault["hbm"] = draw_speed(dice);
    return fault;
  };
  switch (dice.integer(0, 6)) {
  case 0:
  case 1:
    faults["chips"].push_back(speeds({{"at", draw_place(dice, machine)}}));
    return;
  case 2:
  case 3:
    if (const json link = draw_link(dice, machine); !link.is_null())
      faults["links"].push_back(link);
    return;
  case 4:
    if (pods > 1)
      faults["hosts"].push_back({{"at", draw_place(dice, machine)}, {"nic", draw_speed(dice)}});
    return;
  case 5:
    if (pods > 1)
      faults["pods"].push_back(speeds({{machine.gpus ? "node" : "pod", dice.integer(0, pods - 1)}}));
    return;
  default:
    if (dice.chance(0.5) && !faults.contains("random"))
      faults["random"] = draw_random(dice, machine);
    else if (!faults.contains("jitter"))
      faults["jitter"] = {{"seed", dice.integer(0, 1000)}, {"scale", dice.one_of({0.0087, 0.1})}};
  }
}

json draw_faults(Dice& dice, const DrawnMachine& machine)
{
  json faults = json::object();
  for (std::int64_t more = dice.integer(1, 3); more > 0; --more)
    add_fault(dice, machine, faults);
  return faults;
}

// Stages, their layers and micro-batches.
struct Schedule {
  json pipeline;
  std::int64_t layers, micro_batches;
};

Schedule draw_schedule(Dice& dice, std::int64_t stages, std::int64_t every)
{
  if (stages == 1)
    return {nullptr, every * dice.integer(2 / every, 6 / every), dice.one_of<std::int64_t>({1, 1, 2, 4})};
  Schedule drawn{{{"schedule", dice.one_of<std::string>({"gpipe", "1f1b", "interleaved"})}}, 0, dice.integer(1, 8)};
  std::int64_t pieces = stages;
  if (drawn.pipeline["schedule"] == "interleaved") {
    const std::int64_t chunks = dice.integer(2, 3);
    drawn.pipeline["chunks"]  = chunks;
    drawn.micro_batches       = stages * dice.integer(1, 3);
    pieces *= chunks;
  }
  std::vector<std::int64_t> layers(static_cast<std::size_t>(pieces), every * dice.integer(1, 2));
  if (dice.chance(0.3)) {
    for (std::int64_t& own : layers)
      own = every * dice.integer(1, 3);
    drawn.pipeline["layers"] = layers;
  }
  drawn.layers = std::accumulate(layers.begin(), layers.end(), std::int64_t{0});
  return drawn;
}

json draw_workload(Dice& dice, const DrawnMesh& mesh, std::int64_t micro_batches)
{
  const std::int64_t micro    = dice.integer(1, 3);
  const std::int64_t replicas = mesh.size("data") * mesh.size("pod");
  json workload{{"batch", replicas * micro * micro_batches},
                {"sequence", mesh.size("context") * mesh.size("model") * dice.one_of<std::int64_t>({16, 64, 128})},
                {"remat", dice.one_of<std::string>({"attention", "block-inputs", "every-second-layer", "full", "full",
                                                    "minimal", "none", "palm-540b"})},
                {"optimizer", dice.one_of<std::string>(
                                  {"adamw", "adamw-mixed", "adamw-unfused", "adafactor", "adafactor-factored"})}};
  if (micro_batches > 1 || dice.chance(0.3))
    workload["micro_batch"] = micro;
  if (dice.chance(0.15))
    workload["dropout"] = true;
  return workload;
}

// The machine of a scenario that was drawn, as add_fault wants it.
DrawnMachine machine_of(const json& scenario)
{
  DrawnMachine machine;
  const json& text = scenario.at("machine");
  machine.gpus     = text.contains("nvlink");
  if (machine.gpus) {
    machine.axes = {{"nvlink", text["nvlink"].value("gpus", 8), false, true},
                    {"dcn", text.value("nodes", 1), false, true}};
    return machine;
  }
  const std::string base = text.value("base", "");
  if (base == "tpu-v3" || base == "tpu-v2")
    machine.axes.push_back({"core", 2, false, true});
  std::istringstream slice(text.at("slice").get<std::string>());
  char letter = 'x';
  for (std::string size; std::getline(slice, size, 'x');)
    machine.axes.push_back({std::string(1, letter++), std::stoll(size), true, true});
  machine.axes.push_back({"dcn", text.value("pods", 1), false, true});
  return machine;
}

// A constant of the machine whose value makes it slower: where it lies, which way, and what it is when nothing is said.
struct Knob {
  const char* part;
  const char* key;
  const char* unit;
  bool higher_is_faster;
};

bool scale_constant(Dice& dice, const json& scenario, Slowdown& two)
{
  static const std::vector<Knob> knobs{
      {"host", "nic_bandwidth", "GB/s", true}, {"host", "pcie_bandwidth", "GB/s", true},
      {"dcn", "latency", "us", false},         {"ici", "link_bandwidth", "GB/s", true},
      {"ici", "hop_latency", "us", false},     {"nvlink", "bandwidth", "GB/s", true},
      {"nvlink", "latency", "us", false}};
  const bool gpus  = scenario.at("machine").contains("nvlink");
  const Knob& knob = dice.one_of(knobs);
  if (std::string(knob.part) == (gpus ? "ici" : "nvlink"))
    return false;
  const json& machine = scenario.at("machine");
  double now          = knob.higher_is_faster ? 20 : 2;
  if (machine.contains(knob.part) && machine[knob.part].contains(knob.key))
    now = std::stod(machine[knob.part][knob.key].get<std::string>());
  const double factor = dice.one_of({1.000001, 1.01, 1.1, 1.5, 3.0});
  const auto set = [&](json& one, double value) { one["machine"][knob.part][knob.key] = scaled(value, knob.unit); };
  set(two.faster, knob.higher_is_faster ? now * factor : now);
  set(two.slower, knob.higher_is_faster ? now : now * factor);
  return true;
}

} // namespace

json draw_scenario(std::uint64_t seed)
{
  Dice dice(seed);
  const DrawnMachine machine    = draw_machine(dice);
  const KnownSharding& sharding = dice.one_of(shardings());
  const bool experts            = std::string(sharding.name) == "gspmd-2d-experts";
  const bool stages             = dice.chance(0.45);
  const DrawnMesh mesh          = draw_mesh(dice, machine, sharding, stages);
  const std::int64_t every      = experts ? dice.integer(1, 2) : 1;
  const Schedule schedule       = draw_schedule(dice, mesh.size("pipeline"), every);
  json scenario{{"schema_version", 1},
                {"name", "drawn"},
                {"model", draw_model(dice, schedule.layers, every, mesh, experts)},
                {"machine", machine.text},
                {"workload", draw_workload(dice, mesh, schedule.micro_batches)},
                {"mesh", mesh.text},
                {"sharding", sharding.name},
                {"software", draw_software(dice, machine, mesh, sharding)}};
  if (!schedule.pipeline.is_null())
    scenario["pipeline"] = schedule.pipeline;
  if (dice.chance(0.35))
    scenario["faults"] = draw_faults(dice, machine);
  return scenario;
}

Slowdown draw_slowdown(const json& scenario, Dice& dice)
{
  Slowdown two{scenario, scenario};
  if (dice.chance(0.5) && scale_constant(dice, scenario, two))
    return two;
  json& faults = two.slower["faults"];
  if (faults.is_null())
    faults = json::object();
  while (faults == scenario.value("faults", json::object()))
    add_fault(dice, machine_of(scenario), faults);
  return two;
}

} // namespace podsim::test
