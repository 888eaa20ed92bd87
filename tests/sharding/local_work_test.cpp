// What operations cost a device. Attention as one kernel, element-wise work as CUDA kernels, dropout: by hand, on the
// generic chip (100 TFLOP/s, 1 TB/s, 1 us an operation).

#include "sim/metrics/metrics.hpp"
#include "sim/sharding/local_work.hpp"
#include "tests/support/device_blocks.hpp"
#include "tests/support/two_products.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("local work: the shard of a product, and its operands once")
{
  using namespace two_products;
  const Block two         = block(Pass::forward);
  const BlockLayouts lies = layouts(two, mesh, sharding(), 0);
  const BlockWork work    = local_work(two, lies, mesh, {}, {.after_weight_gather = 3, .before_gradient_reduction = 0});
  const Work& first       = work.operations[0].own;
  CHECK(first.matrix.m == 4);
  CHECK(first.matrix.k == 16);
  CHECK(first.matrix.n == 8);
  CHECK(first.hbm == Bytes(2 * (4 * 16 + 16 * 8 + 4 * 8)));
  CHECK(!work.operations[0].sum);
  CHECK(work.collectives[0].full == Bytes(2 * 4 * 16));
  CHECK(work.collectives[0].copied_after == Bytes(0)); // of an activation
  CHECK(work.collectives[1].copied_after == Bytes(3 * 16 * 8));
}

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

// tiny-serial over 64 chips: a sequence of 64 tokens each.
TEST_CASE("the gradient of a bias reads its product's gradient once more, where kernels are not fused by a compiler")
{
  const Prepared p = test::prepare(on_one_axis({"model.biases=true", cuda[0]}));
  const auto d_ff  = static_cast<double>(p.scenario.training().model.d_ff);
  const double up  = 64 * d_ff * 2;
  CHECK(only(p, "layer", "up bias").work.hbm == Bytes(0));
  const double sums = d_ff * 2; // what it writes
  CHECK(only(p, "layer backward", "up bias gradient").work.hbm.value() == Approx(up + sums));

  const Prepared compiled = test::prepare(on_one_axis({"model.biases=true"}));
  CHECK(named(compiled, "layer backward", "up bias gradient").empty());
}
