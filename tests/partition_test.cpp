#include "tests/small_scenario.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

using namespace podsim;

namespace {

const DeviceBlock& block(const Prepared& prepared, const std::string& name)
{
  for (const DeviceBlock& one : prepared.sharded.programs.front().blocks)
    if (one.name == name)
      return one;
  throw std::logic_error("no block " + name);
}

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
  const std::vector<Extent> words{{Dim::vocab, 256000}};
  CHECK(local_elements(words, layout(words, table, mesh), mesh) == std::ceil(256000.0 / 12));
  const std::vector<Extent> key{{Dim::heads, 1}};
  CHECK(local_elements(key, layout(key, table, mesh), mesh) == 1);
}
