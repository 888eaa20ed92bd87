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

namespace {

std::string complaint_of(const std::string& text)
{
  try {
    podsim::parse_quantity<podsim::PerSecond<podsim::ByteUnit>>(text);
  } catch (const std::invalid_argument& wrong) {
    return wrong.what();
  }
  return "";
}

} // namespace

TEST_CASE("bits stay bits and bytes bytes")
{
  using Rate      = podsim::PerSecond<podsim::ByteUnit>;
  const auto rate = [](const char* text) { return podsim::parse_quantity<Rate>(text).value(); };
  for (const char* bits : {"400 Gb/s", "400 Gbps", "400 Gbit/s", "400 Gbits/s"})
    CHECK(rate(bits) == 50e9);
  for (const char* bytes : {"50 GB/s", "50 GBps", "50 Gbyte/s", "50 Gbytes/s"})
    CHECK(rate(bytes) == 50e9);
  for (const auto& [text, hint] : std::initializer_list<std::pair<const char*, const char*>>{
           {"47.43 Gbs", "did you mean \"47.43 Gb/s\"?"},
           {"47.43 GBs", "did you mean \"47.43 GB/s\"?"},
           {"47.43 GBytes/s", "did you mean \"47.43 GB/s\"?"},
           {"47.43 GBit/s", "did you mean \"47.43 Gb/s\"?"},
           {"47.43 gigabits per s", "did you mean \"47.43 Gb/s\"?"},
           {"45 GB", "did you mean \"45 GB/s\"?"},
           {"47.43 gbps", "did you mean \"47.43 Gb/s\" (bits) or \"47.43 GB/s\" (bytes)?"},
           {"47.43 G/s", "did you mean \"47.43 Gb/s\" (bits) or \"47.43 GB/s\" (bytes)?"},
           {"47.43", "write it like \"47.43 GB/s\" or \"47.43 Gb/s\""}})
    CHECK_THAT(complaint_of(text), Catch::EndsWith(hint));
}
