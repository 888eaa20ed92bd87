#include "tests/support/device_blocks.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

using namespace podsim;
using namespace podsim::test;

namespace {

struct Expected {
  CollectiveKind kind;
  std::string axes;
  double bytes;
  friend bool operator==(const Expected&, const Expected&) = default;
};

std::ostream& operator<<(std::ostream& out, const Expected& e)
{
  return out << name(e.kind) << ' ' << e.axes << ' ' << e.bytes;
}

// The collectives of a block that carry more than statistics of rows.
std::vector<Expected> large_collectives(const Prepared& prepared, const std::string& block_name, double above)
{
  std::vector<Expected> all;
  for (const DeviceOperation& op : block(prepared, block_name).operations)
    if (op.kind == DeviceOperation::Kind::collective && op.collective.full.value() > above)
      all.push_back({op.collective.kind, prepared.scenario.mesh.names(op.collective.axes), op.collective.full.value()});
  return all;
}

constexpr auto AG = CollectiveKind::all_gather;
constexpr auto RS = CollectiveKind::reduce_scatter;
constexpr auto AR = CollectiveKind::all_reduce;

} // namespace

// tiny: d 192, ff 768, 24 heads of 16, one key head; batch 64 x 64 tokens over 16 x 4 chips.
TEST_CASE("GSPMD's 2D finalised form: what a parallel layer communicates")
{
  const Prepared p        = test::prepare({});
  const double activation = 4 * 64 * 192 * 2;                                       // 4 sequences a chip, bf16
  const double weights    = 192 * (2.0 * 24 * 16 / 4 + 2 * 16 + 3.0 * 768 / 4) * 2; // over model, key and value whole
  CHECK(large_collectives(p, "layer", 10e3) ==
        std::vector<Expected>{{AG, "model", activation}, {AG, "data", weights}, {RS, "model", activation}});
  const double key = 4 * 64 * 16 * 2;
  CHECK(large_collectives(p, "layer backward", 8e3) ==
        std::vector<Expected>{{AG, "model", activation}, // recomputed norm
                              {AG, "data", weights},
                              {AG, "model", activation}, // gradient of the branch
                              {AR, "model", key},
                              {AR, "model", key},
                              {RS, "model", activation}, // gradient of the norm
                              {RS, "data", weights}});
}

TEST_CASE("a serial layer gathers and scatters twice, and three times more for its recomputation")
{
  const Prepared p        = test::prepare({.model = "tiny-serial"});
  const double activation = 4 * 64 * 192 * 2;
  const auto count        = [&](const std::string& name) {
    const auto all = large_collectives(p, name, 10e3);
    return std::count_if(all.begin(), all.end(),
                                [&](const Expected& e) { return e.axes == "model" && e.bytes == activation; });
  };
  CHECK(count("layer") == 4);
  CHECK(count("layer backward") == 4 + 3);
}

TEST_CASE("one-dimensional tensor parallelism all-reduces, data parallelism only its gradients")
{
  const double activation = 4 * 64 * 192 * 2;
  const Prepared tensor   = test::prepare({.model = "tiny-serial", .sharding = "tensor-1d"});
  CHECK(large_collectives(tensor, "layer", 1e3) ==
        std::vector<Expected>{{AR, "model", activation}, {AR, "model", activation}});
  const Prepared data =
      test::prepare({.model = "tiny-serial", .sharding = "data-parallel", .mesh = {{"data", {"x", "y", "z"}}}});
  const double weights = (4.0 * 192 * 192 + 2 * 192 * 384) * 2;
  CHECK(large_collectives(data, "layer", 1e3).empty());
  CHECK(large_collectives(data, "layer backward", 1e3) == std::vector<Expected>{{AR, "data", weights}});
}

TEST_CASE("fully sharded data gathers each layer's weights twice a step and scatters its gradients once")
{
  const Prepared p = test::prepare({.model = "tiny-serial", .sharding = "fsdp", .mesh = {{"data", {"x", "y", "z"}}}});
  const double weights = (4.0 * 192 * 192 + 2 * 192 * 384) * 2;
  CHECK(large_collectives(p, "layer", 1e3) == std::vector<Expected>{{AG, "data", weights}});
  CHECK(large_collectives(p, "layer backward", 1e3) ==
        std::vector<Expected>{{AG, "data", weights}, {RS, "data", weights}});
}

TEST_CASE("pods exchange what a device holds of the gradients, once, after the backward pass")
{
  const Prepared p =
      test::prepare({.pods = 2, .batch = 128, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}});
  const auto all = large_collectives(p, "update", 1e3);
  REQUIRE(all.size() == 1);
  CHECK(all[0].kind == AR);
  CHECK(all[0].axes == "pod");
  CHECK(all[0].bytes == p.sharded.programs.front().resident.gradients.value());
  for (const char* other : {"layer", "layer backward", "loss", "embedding backward"})
    for (const Expected& e : large_collectives(p, other, 0))
      CHECK(e.axes != "pod");
}

TEST_CASE("devices together execute the program's FLOPs, and what is replicated on top")
{
  const Prepared p  = test::prepare({.model = "tiny-serial"});
  double of_program = 0;
  double of_device  = 0;
  for (const Block& one : p.program.programs.front().blocks)
    for (const Operation& op : one.operations)
      of_program += static_cast<double>(one.count) * flops(one, op);
  for (const Step& step : p.sharded.stages.front().steps)
    for (const DeviceOperation& op : p.sharded.program_of(0).blocks[static_cast<std::size_t>(step.block)].operations)
      of_device += step.count * op.work.matrix.flops().value();
  CHECK(64 * of_device == Approx(of_program).epsilon(1e-12)); // 24 heads, 384 channels and 1000 words all divide by 4
  // With one key head its projections and their gradients run on every chip of the model axis.
  const Prepared one_head = test::prepare({});
  double replicated       = 0;
  for (const DeviceOperation& op : block(one_head, "layer").operations)
    if (op.name == "key" || op.name == "value")
      replicated += op.work.matrix.flops().value();
  CHECK(replicated == 2 * 2.0 * 4 * 64 * 192 * 16);
}

// Megatron's tensor parallelism, and with the activations between split over the sequence.
const nlohmann::json sequence_parallel = {
    {"name", "sequence parallel"},
    {"weights", {{"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}}},
    {"activations",
     {{"batch", "data"}, {"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}, {"sequence", "model"}}},
    {"compute", {{"batch", "data"}, {"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}}}};

TEST_CASE("an activation's gradient is complete before the gradients of weights, and may be reduced behind them")
{
  const auto names = [](const Prepared& p) {
    std::vector<std::string> all;
    for (const DeviceOperation& op : block(p, "layer backward").operations)
      if (op.name.find("norm)") != std::string::npos || op.name.find("weight)") != std::string::npos)
        all.push_back((op.asynchronous ? "beside: " : "") + op.name);
    return all;
  };
  const test::SmallScenario blocking{.model = "tiny-serial", .remat = "none", .sharding = "tensor-1d"};
  test::SmallScenario beside = blocking;
  beside.changes             = {"software.asynchronous=[\"activation reductions\"]"};
  using Names                = std::vector<std::string>;
  const Prepared in_order    = test::prepare(blocking);
  const Prepared overlapped  = test::prepare(beside);
  CHECK(names(in_order) == Names{"d(down weight)", "d(mlp norm)", "d(up weight)", "all-reduce d(mlp norm)",
                                 "d(attention output weight)", "d(attention norm)", "d(attention norm)",
                                 "d(attention norm)", "d(value weight)", "d(key weight)", "d(query weight)",
                                 "all-reduce d(attention norm)"});
  CHECK(names(overlapped) == Names{"d(down weight)", "d(mlp norm)", "beside: all-reduce d(mlp norm)", "d(up weight)",
                                   "d(attention output weight)", "d(attention norm)", "d(attention norm)",
                                   "d(attention norm)", "beside: all-reduce d(attention norm)", "d(value weight)",
                                   "d(key weight)", "d(query weight)"});
  for (const DeviceOperation& op : block(overlapped, "layer backward").operations)
    if (op.asynchronous)
      CHECK(!op.needs.empty());
  CHECK(test::simulate(overlapped, Granularity::automatic, false).end <
        test::simulate(in_order, Granularity::automatic, false).end);
}

TEST_CASE("a saved activation is gathered behind the product that makes its gradient")
{
  test::SmallScenario scenario{.model = "tiny-serial", .remat = "none", .sharding = sequence_parallel};
  const Prepared in_order = test::prepare(scenario);
  scenario.changes        = {"software.asynchronous=[\"activation gathers\"]"};
  const Prepared beside   = test::prepare(scenario);
  const auto& operations  = block(beside, "layer backward").operations;
  const auto at           = [&](const std::string& name) {
    const auto found =
        std::find_if(operations.begin(), operations.end(), [&](const auto& op) { return op.name == name; });
    REQUIRE(found != operations.end());
    return found - operations.begin();
  };
  for (const auto& [norm, weight] : {std::pair("mlp norm", "up weight"), {"attention norm", "query weight"}}) {
    const auto gather = at(std::string("all-gather ") + norm);
    CHECK(operations[static_cast<std::size_t>(gather)].asynchronous);
    CHECK(!operations[static_cast<std::size_t>(gather)].needs.empty()); // else it would start a layer ahead
    CHECK(gather < at(std::string("d(") + norm + ")"));
    CHECK(gather > at(norm == std::string("mlp norm") ? "d(hidden)" : "d(context)"));
    CHECK(at(std::string("d(") + norm + ")") < at(std::string("d(") + weight + ")"));
  }
  // Korthikanti's two pairs of a layer, and the second gathers, of what stood before the products.
  const double activation = 4 * 64 * 192 * 2;
  for (const Prepared* one : {&in_order, &beside}) {
    const auto all = large_collectives(*one, "layer backward", 1e3);
    CHECK(std::count(all.begin(), all.end(), Expected{AG, "model", activation}) == 4);
    CHECK(std::count(all.begin(), all.end(), Expected{RS, "model", activation}) == 2);
    CHECK(all.size() == 6 + 1); // and the reduction of the gradients of weights
  }
  CHECK(test::simulate(beside, Granularity::automatic, false).end <
        test::simulate(in_order, Granularity::automatic, false).end);
}

// 16 experts in every second layer, 4 of the 64 tokens of a sequence each; tokens and experts both over data.
TEST_CASE("a mixture of experts: FLOPs, and four all-to-alls a layer")
{
  const nlohmann::json sharding = {
      {"name", "experts over data"},
      {"weights", {{"expert", "data"}, {"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}}},
      {"activations",
       {{"batch", "data"}, {"expert", "data"}, {"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}}},
      {"compute", {{"batch", "data"}, {"expert", "data"}, {"mlp", "model"}, {"heads", "model"}, {"vocab", "model"}}}};
  const nlohmann::json experts = {{"count", 16}, {"top_k", 2}, {"every", 2}, {"capacity_factor", 1}, {"mlp", "plain"}};
  const Prepared p             = test::prepare(
                  {.model = "tiny-serial", .remat = "none", .sharding = sharding, .changes = {"model.experts=" + experts.dump()}});
  const double tokens  = 64 * 64;
  const double layer   = 2 * (4 * 192 * 192 + 2 * 64 * 192); // FLOPs a token outside the MLP
  const double dense   = 2 * 2 * 192 * 384;
  const double mixture = 2 * 192 * 16 + 2 * (2.0 * 16 * 4 * 192) +
                         16 * 4 / 64.0 * 2 * 2 * 192 * 384; // router, dispatch and combine, experts
  const auto& program = p.program.programs.front().blocks;
  const auto of       = [&](const char* name) {
    const auto found = std::find_if(program.begin(), program.end(), [&](const Block& b) { return b.name == name; });
    double sum       = 0;
    for (const Operation& op : found->operations)
      sum += flops(*found, op);
    CHECK(found->count == 1);
    return sum;
  };
  CHECK(of("layer") == tokens * (2 * layer + dense + mixture));
  CHECK(of("layer backward") ==
        tokens * (2 * (2 * layer + dense + mixture) - 2.0 * 16 * 4 * 192)); // a mask has no gradient
  double of_device = 0;
  for (const DeviceOperation& op : block(p, "layer").operations)
    of_device += 64 * op.work.matrix.flops().value();
  CHECK(of_device ==
        tokens * (2 * layer + dense + mixture + 3 * (2 * 192 * 16 + 2 * (2.0 * 16 * 4 * 192)))); // the model
  // axis splits neither router nor masks

  // A chip has 4 sequences, and of each 4 tokens for each of 16 experts.
  constexpr auto AA     = CollectiveKind::all_to_all;
  const double exchange = 4.0 * 16 * 4 * 192 * 2;
  for (const char* name : {"layer", "layer backward"}) {
    CAPTURE(name);
    std::vector<Expected> exchanges;
    for (const Expected& one : large_collectives(p, name, 0))
      if (one.kind == AA)
        exchanges.push_back(one);
    CHECK(exchanges == std::vector<Expected>{{AA, "data", exchange}, {AA, "data", exchange}});
  }
  // Gradients of the experts are whole where the experts are; the others are sums over the chips of data.
  // The router's weight lies by experts as theirs do, and is gathered.
  const double router = 192 * 16 * 2;
  const double others = (2 * 4 * 192 * 192 / 4 + 2 * 192 * 384 / 4) * 2;
  std::vector<Expected> over_data;
  for (const Expected& one : large_collectives(p, "layer backward", 0))
    if (one.axes == "data" && one.kind != AA)
      over_data.push_back(one);
  CHECK(over_data == std::vector<Expected>{{AG, "data", router}, {AR, "data", others}, {RS, "data", router}});
  // A token meets 2 of 16 experts.
  CHECK(p.program.model.parameters - p.program.model.active_parameters == 14 * 2 * 192 * 384);
}

TEST_CASE("groups of another size than a sequence change the masks only")
{
  const auto prepared = [](int group) {
    const nlohmann::json experts = {{"count", 16},          {"top_k", 2},     {"every", 1},
                                    {"capacity_factor", 2}, {"group", group}, {"mlp", "gated"}};
    return test::prepare({.model = "tiny-serial", .changes = {"model.experts=" + experts.dump()}});
  };
  const auto total = [](const Prepared& p, const std::string& name) {
    double sum = 0;
    for (const DeviceOperation& op : block(p, "layer").operations)
      if (op.name == name)
        sum += op.work.matrix.flops().value();
    return sum;
  };
  const Prepared small = prepared(32);
  const Prepared large = prepared(128);
  CHECK(total(large, "dispatch") == 4 * total(small, "dispatch")); // each token to 4 times the places of its group
  CHECK(total(large, "up") == total(small, "up"));
  CHECK(total(small, "up") > 0);
}

TEST_CASE("a gradient is made and handed on for every weight that computes")
{
  for (const char* model : {"tiny", "tiny-serial"}) {
    const Prepared p = test::prepare({.model = model});
    for (const auto& [forward, backward] :
         {std::pair("embedding", "embedding backward"), {"layer", "layer backward"}, {"loss", "loss"}}) {
      const std::vector<Block>& blocks = p.program.programs.front().blocks;
      const auto named                 = [&](const char* name) {
        return *std::find_if(blocks.begin(), blocks.end(), [&](const Block& b) { return b.name == name; });
      };
      const Block uses  = named(forward);
      const Block makes = named(backward);
      for (const Operation& operation : uses.operations)
        for (const Operand& input : operation.inputs) {
          const Tensor& weight = uses.tensor(input.tensor);
          if (weight.kind != TensorKind::weight || operation.pass != Pass::forward)
            continue;
          CAPTURE(model, weight.name);
          const auto gradient = makes.find("d(" + weight.name + ")");
          REQUIRE(gradient);
          CHECK(makes.tensor(*gradient).kind == TensorKind::weight_gradient);
          CHECK(std::count(makes.outputs.begin(), makes.outputs.end(), *gradient) == 1);
          CHECK(std::any_of(makes.operations.begin(), makes.operations.end(), [&](const Operation& op) {
            return op.pass == Pass::backward &&
                   std::any_of(op.outputs.begin(), op.outputs.end(),
                               [&](const Operand& out) { return out.tensor == *gradient; });
          }));
        }
    }
  }
}

TEST_CASE("a dimension that does not divide is padded, one that is too small stays whole")
{
  const Mesh mesh{{{"model", 12}}};
  DimAxes table{};
  table[static_cast<std::size_t>(Dim::vocab)] = table[static_cast<std::size_t>(Dim::heads)] = 1;
  const Tensor words{"words", TensorKind::activation, Dtype::bf16, {{Dim::vocab, 256000}}};
  CHECK(local_elements(words, layout(words, table, mesh), mesh) == std::ceil(256000.0 / 12));
  const Tensor key{"key", TensorKind::activation, Dtype::bf16, {{Dim::heads, 1}}};
  CHECK(local_elements(key, layout(key, table, mesh), mesh) == 1);
}

// Llama's down projection is 4096 x 11008. FSDP flattens, so that 96 devices hold ceil(45,088,768 / 96) elements each
// and not 43 of the 4096 channels; and 8192 devices 5504, though there are only 4096 channels.
TEST_CASE("weights, gradients and optimizer states are split as a whole, whatever their dimensions")
{
  DimAxes table{};
  table[static_cast<std::size_t>(Dim::embed)] = 1;
  const std::vector<Extent> shape{{Dim::mlp, 11008}, {Dim::embed, 4096}};
  for (const TensorKind kind : {TensorKind::weight, TensorKind::weight_gradient, TensorKind::optimizer_state}) {
    const Tensor down{"down", kind, Dtype::bf16, shape};
    for (const auto& [devices, each] : {std::pair{96, 469675.0}, {24, 1878699.0}, {64, 704512.0}, {8192, 5504.0}}) {
      const Mesh mesh{{{"data", devices}}};
      CHECK(local_elements(down, layout(down, table, mesh), mesh) == each);
    }
    const Mesh mesh{{{"data", 96}}};
    const Tensor scale{"scale", kind, Dtype::bf16, {{Dim::embed, 4096}}};
    CHECK(local_elements(scale, layout(scale, table, mesh), mesh) == 43); // 42.67
  }
}

// tiny-serial has 192 channels, which 36 chips do not divide; the batch does. A layer has four attention weights of
// 192 x 24 x 8 and two of 192 x 384: all over 36 come out whole (1024 and 2048 elements), the norms' 192 channels are
// padded to 6 each; so the gather of a layer's weights moves them whole.
TEST_CASE("fully sharded over devices that do not divide the channels")
{
  const Prepared p  = test::prepare({.slice    = "4x3x3",
                                     .model    = "tiny-serial",
                                     .batch    = 72,
                                     .sharding = "fsdp",
                                     .mesh     = {{"data", {"x", "y", "z"}}},
                                     .changes  = {"machine.ici.cube=5"}});
  const auto& block = p.sharded.programs[0].blocks[1];
  REQUIRE(block.role == BlockRole::layers);
  double gathered = 0;
  for (const DeviceOperation& op : block.operations)
    if (op.kind == DeviceOperation::Kind::collective && op.collective.kind == CollectiveKind::all_gather)
      gathered += op.collective.full.value();
  CHECK(gathered == 2 * (4 * 192 * 192 + 2 * 192 * 384));
  CHECK(test::simulate(p, Granularity::chunk, false).end == test::simulate(p, Granularity::chunk, true).end);
}
