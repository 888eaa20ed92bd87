// Attention as one kernel, element-wise work as CUDA kernels, dropout: by hand, on the generic chip (100 TFLOP/s, 1
// TB/s, 1 us an operation).

#include "sim/engine/timed_program.hpp"
#include "sim/metrics/metrics.hpp"
#include "tests/support/small_scenario.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace podsim;

namespace {

const std::string fused = R"(software.attention={"kernel": "fused", "causal": "half", "forward_efficiency": 0.5,
                             "backward_efficiency": 0.4})";

const DeviceBlock& block(const Prepared& prepared, const std::string& name)
{
  for (const DeviceBlock& one : prepared.sharded.programs.front().blocks)
    if (one.name == name)
      return one;
  throw std::logic_error("no block " + name);
}

std::vector<DeviceOperation> named(const Prepared& prepared, const std::string& block_name, const std::string& name)
{
  std::vector<DeviceOperation> all;
  for (const DeviceOperation& operation : block(prepared, block_name).operations)
    if (operation.name == name)
      all.push_back(operation);
  return all;
}

DeviceOperation only(const Prepared& prepared, const std::string& block_name, const std::string& name)
{
  const auto all = named(prepared, block_name, name);
  INFO(block_name << ": " << name);
  REQUIRE(all.size() == 1);
  return all.front();
}

test::SmallScenario on_one_axis(std::vector<std::string> changes, const std::string& remat = "none")
{
  return {.model    = "tiny-serial",
          .remat    = remat,
          .sharding = "data-parallel",
          .mesh     = {{"data", {"x", "y", "z"}}},
          .changes  = std::move(changes)};
}

} // namespace

// tiny: 24 heads of 16 over 4 chips, one key head, 64 sequences of 64 tokens over 16 chips.
TEST_CASE("fused attention: FLOPs, bytes and time of the kernel and of its gradient")
{
  const Prepared p               = test::prepare({.remat = "none", .changes = {fused}});
  const DeviceOperation forward  = only(p, "layer", "attention");
  const DeviceOperation backward = only(p, "layer backward", "attention gradient");
  const double product           = 2.0 * 4 * 6 * 64 * 64 * 16; // sequences, heads, queries, keys, channels
  const double query             = 4.0 * 64 * 6 * 16 * 2;
  const double key               = 4.0 * 64 * 16 * 2;
  const double statistics        = 4.0 * 6 * 64 * 4;
  CHECK(forward.work.matrix.flops().value() == 2 * product / 2); // the masked half is skipped
  CHECK(backward.work.matrix.flops().value() == 5 * product / 2);
  CHECK(forward.work.hbm.value() == query + 2 * key + query + statistics);
  CHECK(backward.work.hbm.value() == (query + 2 * key + query + statistics + query) + (query + 2 * key));
  const Chip& chip = p.scenario.machine.chip;
  CHECK(operation_time(forward.work, chip).matrix.value() == Approx(product / (0.5 * 100e12)));
  CHECK(operation_time(backward.work, chip).matrix.value() == Approx(2.5 * product / (0.4 * 100e12)));
  for (const char* name : {"scores", "softmax", "context"})
    CHECK(named(p, "layer", name).empty());

  // The one key head is read by the query heads of four chips: its gradient is their sum.
  const auto& operations = block(p, "layer backward").operations;
  CHECK(std::count_if(operations.begin(), operations.end(), [&](const DeviceOperation& op) {
          return op.kind == DeviceOperation::Kind::collective && op.collective.kind == CollectiveKind::all_reduce &&
                 op.collective.full.value() == key;
        }) == 2);

  const Prepared whole = test::prepare({.remat = "none", .changes = {fused, "software.attention.causal=full"}});
  CHECK(only(whole, "layer", "attention").work.matrix.flops().value() == 2 * product);
  const Prepared encoder = test::prepare({.model = "tiny-serial", .remat = "none", .changes = {fused}});
  CHECK(only(encoder, "layer", "attention").work.matrix.flops().value() == 2 * 2.0 * 4 * 6 * 64 * 64 * 8);
}

TEST_CASE("fused attention keeps a statistic a row instead of the probabilities")
{
  const auto saved = [](const Prepared& p) { return block(p, "layer").saved.value(); };
  const Prepared p = test::prepare({.remat = "none", .changes = {fused}});
  CHECK(saved(test::prepare({.remat = "none"})) - saved(p) == 4.0 * 6 * 64 * 64 * 2 - 4.0 * 6 * 64 * 4);
  for (const char* name : {"layer", "layer backward"})
    for (const Buffer& buffer : block(p, name).buffers)
      CHECK(buffer.name.find("scores") == std::string::npos);
  CHECK(memory(p.sharded).total() < memory(test::prepare({.remat = "none"}).sharded).total());
}

TEST_CASE("remat repeats the fused kernel, and its gradient's fifth product is no remat")
{
  for (const char* remat : {"none", "attention", "full"}) {
    const Prepared with    = test::prepare({.remat = remat, .changes = {fused}});
    const Prepared without = test::prepare({.remat = remat});
    CAPTURE(remat);
    CHECK(named(with, "layer backward", "attention again").size() == (std::string(remat) == "none" ? 0 : 1));
    CHECK(flops_per_token(with.program).repeated == flops_per_token(without.program).repeated);
    CHECK(flops_per_token(with.program).model() == flops_per_token(without.program).model());
  }
}

TEST_CASE("fused attention over a split sequence gathers keys and values")
{
  nlohmann::json sharding = {{"name", "context"},
                             {"weights", nlohmann::json::object()},
                             {"activations", {{"batch", "data"}, {"sequence", "model"}, {"key_sequence", "model"}}},
                             {"compute", {{"batch", "data"}, {"sequence", "model"}}}};
  const Prepared p = test::prepare({.model = "tiny-serial", .remat = "none", .sharding = sharding, .changes = {fused}});
  CHECK(only(p, "layer", "attention").work.matrix.flops().value() == 2 * 2.0 * 4 * 24 * 16 * 64 * 8);
  const double key = 4.0 * 64 * 24 * 8 * 2;
  std::vector<double> gathered;
  std::vector<double> scattered;
  for (const DeviceOperation& op : block(p, "layer").operations)
    if (op.kind == DeviceOperation::Kind::collective && op.collective.axes == 2)
      gathered.push_back(op.collective.full.value());
  // Keys and values are made of the whole sequence, which the normalised activation is gathered for.
  CHECK(gathered == std::vector<double>{4.0 * 64 * 192 * 2});
  for (const DeviceOperation& op : block(p, "layer backward").operations)
    if (op.kind == DeviceOperation::Kind::collective && op.collective.kind == CollectiveKind::reduce_scatter)
      scattered.push_back(op.collective.full.value());
  CHECK(std::count(scattered.begin(), scattered.end(), key) >= 2); // the gradients of keys and values
}

// One sequence of 64 tokens of 192 channels a chip.
TEST_CASE("element-wise work by XLA's passes and by those of CUDA kernels")
{
  const double x  = 64 * 192 * 2;
  const double up = 64 * 384 * 2;
  const double p  = 24.0 * 64 * 64; // elements of the probabilities; scores in f32
  struct Row {
    const char* block;
    const char* operation;
    double xla, kernels;
  };
  const double moments = 64 * 4;
  const std::vector<Row> rows{
      {"layer", "attention norm moments", x + moments, 0},
      {"layer", "attention norm", 2 * x, 2 * x},
      {"layer", "softmax", 3 * 4 * p + 2 * p, 4 * p + 2 * p},
      {"layer", "activation", 2 * up, 2 * up},
      {"layer", "residual", 3 * x, 3 * x},
      {"layer backward", "attention norm gradient statistics", 2 * x + moments, 0},
      {"layer backward", "attention norm gradient", 3 * x, 3 * x},
      {"layer backward", "softmax gradient", 2 * 2 * p + 2 * 2 * p + 4 * p, 2 * p + 2 * p + 4 * p},
      {"layer backward", "activation gradient", 3 * up, 3 * up}};
  const Prepared xla     = test::prepare(on_one_axis({}));
  const Prepared kernels = test::prepare(on_one_axis({"software.element_wise=kernels"}));
  const Prepared early =
      test::prepare(on_one_axis({"software.element_wise=kernels", "software.element_wise_overhead=1.3"}));
  for (const Row& row : rows) {
    CAPTURE(row.operation);
    CHECK(only(xla, row.block, row.operation).work.hbm.value() == row.xla);
    CHECK(only(kernels, row.block, row.operation).work.hbm.value() == row.kernels);
    CHECK(only(early, row.block, row.operation).work.hbm.value() == Approx(1.3 * row.kernels));
  }
  CHECK(only(kernels, "layer", "attention norm moments").work.vector.value() == 0);
}

TEST_CASE("dropout: passes, and the memory of Korthikanti's formula")
{
  // arXiv:2205.05198, equation 1: s b h (34 + 5 a s / h) bytes a layer, here besides four bytes a row and norm.
  const std::vector<std::string> kernels{"model.d_ff=768", "software.element_wise=kernels", "workload.dropout=true"};
  const Prepared p = test::prepare(on_one_axis(kernels));
  CHECK(block(p, "layer").saved.value() == 64 * 192 * (34 + 5 * 24 * 64 / 192.0) + 2 * 4 * 64);
  const double elements = 64 * 192;
  const double square   = 24.0 * 64 * 64;
  CHECK(only(p, "layer", "residual").work.hbm.value() == 3.5 * 2 * elements);
  CHECK(only(p, "layer backward", "residual gradient").work.hbm.value() == 2.5 * 2 * elements);
  CHECK(only(p, "layer", "attention dropout").work.hbm.value() == 2.5 * 2 * square);
  CHECK(only(p, "layer backward", "attention dropout gradient").work.hbm.value() == 2.5 * 2 * square);

  auto with_kernel = kernels;
  with_kernel.push_back(fused);
  const Prepared flash = test::prepare(on_one_axis(with_kernel));
  CHECK(named(flash, "layer", "attention dropout").empty());
  CHECK(block(flash, "layer").saved.value() == 64 * 192 * 34 + 2 * 4 * 64 + 24 * 64 * 4);

  // Selective recomputation repeats the attention core and nothing else.
  const Prepared selective = test::prepare(on_one_axis(kernels, "attention"));
  std::vector<std::string> again;
  for (const DeviceOperation& op : block(selective, "layer backward").operations)
    if (op.pass == Pass::recompute)
      again.push_back(op.name);
  CHECK(again == std::vector<std::string>{"scores again", "softmax again", "attention dropout again", "context again"});
}

TEST_CASE("remat of block inputs repeats what the gradients need: all but the last product")
{
  const auto repeated = [](const char* remat) {
    return flops_per_token(test::prepare({.model = "tiny-serial", .remat = remat}).program).repeated;
  };
  CHECK(repeated("full") - repeated("block-inputs") == Approx(2 * 2.0 * 192 * 384)); // 2 layers' down projections
}

TEST_CASE("mistakes in the fields of kernels and experts are answered in one line")
{
  const std::vector<std::pair<std::string, std::string>> mistakes{
      {"software.attention=flash", "expected one of unfused, fused, found \"flash\""},
      {"software.attention=fused", "\"fused\" needs an object"},
      {R"(software.attention={"kernel": "fused", "casual": "half"})", "causal"},
      {R"(software.attention={"kernel": "unfused", "causal": "half"})", "causal"},
      {"software.element_wise=kernel", "did you mean \"kernels\"?"},
      {"software.element_wise_overhead=0.5", "expected a factor from 1 to 10"},
      {"software.asynchronous=[\"activation gather\"]", "did you mean \"activation gathers\"?"},
      {"workload.dropout=0.1", "workload.dropout"},
      {"model.positions=alibbi", "did you mean \"alibi\"?"},
      {R"(model.experts={"count": 4, "top_k": 5, "every": 1, "capacity_factor": 2, "mlp": "plain"})", "top_k"},
      {R"(model.experts={"count": 4, "top_k": 2, "every": 3, "capacity_factor": 2, "mlp": "plain"})",
       "must divide layers, which is 2"},
      {R"(model.experts={"count": 4, "top_k": 2, "every": 1, "capacity_factor": 0, "mlp": "plain"})",
       "a number above 0"},
      {R"(model.experts={"count": 4, "top_k": 2, "every": 1, "capacity_factor": 2, "group": 100, "mlp": "plain"})",
       "cannot be divided into groups of 100"}};
  for (const auto& [change, complaint] : mistakes) {
    CAPTURE(change);
    CHECK_THROWS_WITH(test::prepare({.model = "tiny-serial", .changes = {change}}), Catch::Contains(complaint));
  }
}

namespace {

const std::vector<std::string> cuda = {
    R"(software.element_wise="kernels")",
    R"(software.asynchronous=["weight gathers", "gradient reductions"])",
};

test::SmallScenario fully_sharded(std::vector<std::string> changes)
{
  test::SmallScenario scenario = on_one_axis(std::move(changes));
  scenario.sharding            = "fsdp";
  scenario.changes.insert(scenario.changes.end(), cuda.begin(), cuda.end());
  return scenario;
}

} // namespace

// tiny-serial over 64 chips: a sequence of 64 tokens each.
TEST_CASE("the gradient of a bias reads its product's gradient once more, where kernels are not fused by a compiler")
{
  const Prepared p = test::prepare(on_one_axis({"model.biases=true", cuda[0]}));
  const auto d_ff  = static_cast<double>(p.scenario.model.d_ff);
  const double up  = 64 * d_ff * 2;
  CHECK(only(p, "layer", "up bias").work.hbm == Bytes(0));
  const double sums = d_ff * 2; // what it writes
  CHECK(only(p, "layer backward", "up bias gradient").work.hbm.value() == Approx(up + sums));

  const Prepared compiled = test::prepare(on_one_axis({"model.biases=true"}));
  CHECK(named(compiled, "layer backward", "up bias gradient").empty());
}

TEST_CASE("copies beside collectives cost HBM traffic, before a reduction and after a gather")
{
  const Prepared p =
      test::prepare(fully_sharded({"software.weight_gather_copies=4", "software.gradient_reduction_copies=18"}));
  const double elements = static_cast<double>(p.scenario.model.d_model * p.scenario.model.d_ff);
  CHECK(only(p, "layer", "copies for the gather of up weight").work.hbm.value() == 4 * elements);
  CHECK(only(p, "layer backward", "copies for the reduction of d(up weight)").work.hbm.value() == 18 * elements);
  CHECK(named(test::prepare(fully_sharded({})), "layer", "copies for the gather of up weight").empty());
}

TEST_CASE("collectives of a layer stay apart where the software does not combine them")
{
  const auto gathers = [](const Prepared& p) {
    const auto& all = block(p, "layer").operations;
    return std::count_if(all.begin(), all.end(), [](const DeviceOperation& operation) {
      return operation.kind == DeviceOperation::Kind::collective &&
             operation.collective.kind == CollectiveKind::all_gather;
    });
  };
  CHECK(gathers(test::prepare(fully_sharded({}))) == 1);
  CHECK(gathers(test::prepare(fully_sharded({"software.combined_collectives=false"}))) > 4);
}

TEST_CASE("a reduction of summed gradients carries the sum")
{
  const auto bytes = [](const char* dtype) {
    const Prepared p = test::prepare(on_one_axis(
        {R"(software.gradient_accumulation="separate")", std::string("software.accumulation_dtype=") + dtype}));
    Bytes sum;
    for (const DeviceOperation& operation : block(p, "layer backward").operations)
      if (operation.kind == DeviceOperation::Kind::collective)
        sum += operation.collective.full;
    return sum.value();
  };
  CHECK(bytes("f32") == 2 * bytes("bf16"));
}

// A layer computes C in all, and a collective of T beside it takes a fifth of the processors: T / 5 is lost, but never
// more than C / 4, what all of C would lose.
TEST_CASE("a collective beside the computation takes some of a GPU's processors")
{
  const auto durations = [](int collective) {
    Prepared p = test::prepare(fully_sharded({}));
    TiledProcessors processors{.processors = 100, .tiles = {{128, 128, 1.0}}, .collective_processors = collective};
    p.scenario.machine.chip.matrix_unit = processors;
    const TimedProgram timed = time_program(p.sharded, p.scenario.machine, p.scenario.placement, MultiAxis::pipelined,
                                            Granularity::collective);
    const auto& blocks       = p.sharded.programs.front().blocks;
    double compute = 0, beside = 0;
    for (std::size_t b = 0; b < blocks.size(); ++b)
      if (blocks[b].name == "layer")
        for (std::size_t o = 0; o < blocks[b].operations.size(); ++o) {
          const bool computes = blocks[b].operations[o].kind == DeviceOperation::Kind::compute;
          (computes ? compute : beside) += static_cast<double>(timed.programs.front()[b][o].duration);
        }
    return std::pair(compute, beside);
  };
  const auto [alone, collectives] = durations(0);
  const auto [shared, same]       = durations(20);
  CHECK(same == collectives);
  CHECK(shared - alone == Approx(std::min(collectives / 5, alone / 4)).epsilon(1e-6));
}
