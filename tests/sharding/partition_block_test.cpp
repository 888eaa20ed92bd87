// What a block has for its collectives: copies beside them, and the sums that they carry.

#include "tests/support/device_blocks.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("copies beside collectives cost HBM traffic, before a reduction and after a gather")
{
  const Prepared p =
      test::prepare(fully_sharded({"software.weight_gather_copies=4", "software.gradient_reduction_copies=18"}));
  const double elements = static_cast<double>(p.scenario.training().model.d_model * p.scenario.training().model.d_ff);
  CHECK(only(p, "layer", "copies for the gather of up weight").work.hbm.value() == 4 * elements);
  CHECK(only(p, "layer backward", "copies for the reduction of d(up weight)").work.hbm.value() == 18 * elements);
  CHECK(named(test::prepare(fully_sharded({})), "layer", "copies for the gather of up weight").empty());
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
