#include "sim/core/units.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

using namespace podsim;

TEST_CASE("quantities carry their unit")
{
  CHECK(parse_quantity<PerSecond<ByteUnit>>("45 GB/s").value() == 45e9);
  CHECK(parse_quantity<PerSecond<ByteUnit>>("52.7 Gb/s").value() == Approx(52.7e9 / 8));
  CHECK(parse_quantity<ByteUnit>("32 GiB").value() == 32.0 * 1024 * 1024 * 1024);
  CHECK(parse_quantity<ByteUnit>("32 GB").value() == 32e9);
  CHECK(parse_quantity<SecondUnit>("1.5us").value() == Approx(1.5e-6));
  CHECK(parse_quantity<PerSecond<FlopUnit>>("275 TFLOP/s").value() == 275e12);
  CHECK(parse_quantity<WattUnit>("378.5 W").value() == 378.5);
  CHECK(parse_quantity<WattUnit>("6.5 kW").value() == 6500);
  CHECK_THROWS_AS(parse_quantity<WattUnit>("6.5 kWh"), std::invalid_argument);
  for (const char* wrong :
       {"45", "", "GB/s", "45 GB", "45 gb/s", "45 GB/s extra", "nan GB/s", "inf GB/s", "1e999 GB/s"})
    CHECK_THROWS_AS(parse_quantity<PerSecond<ByteUnit>>(wrong), std::invalid_argument);
}
