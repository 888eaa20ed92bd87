#include "sim/studies/constraint.hpp"

#include <catch2/catch.hpp>
#include <optional>
#include <stdexcept>
#include <string>

using namespace podsim;

TEST_CASE("study: constraints")
{
  const Lookup lookup = [](const std::string& name) -> std::optional<Term> {
    if (name == "machine.pods")
      return 2.0;
    if (name == "slice")
      return std::string("12x16x16");
    if (name == "link")
      return std::string("45 GB/s");
    if (name == "grid")
      return std::string("79 g/kWh");
    if (name == "odd")
      return as_term("nan");
    if (name == "endless")
      return as_term("inf");
    return {};
  };
  for (const char* condition :
       {"machine.pods == 2", "1 + 2 * 3 == 7", "(1 + 2) * 3 == 9", "7 % 4 == 3",
        "product(slice) * machine.pods == 6144", "slice == '12x16x16'", "link > '44 GB/s' and link < '0.5 Tb/s'",
        "link == '45000 MB/s'", "not 1 > 2", "1 > 2 or 2 > 1 and 3 > 2", "-1 < 0", "10 - 2 - 3 == 5",
        "link != '46 GB/s'", "1/2==.5",
        // The same quantity in another unit, though 79 / 1000 and 0.079 are not the same double.
        "grid == '0.079 kg/kWh'", "grid == '0.079 t/MWh'", "grid == '79 kg/MWh'", "grid <= '0.079 kg/kWh'",
        "grid >= '0.079 kg/kWh'", "grid < '0.0791 t/MWh'", "grid != '80 g/kWh'", "odd == 'nan'", "odd != 'inf'"})
    CHECK(holds(condition, lookup));
  for (const char* condition :
       {"machine.pods != 2", "slice == '16x16'", "1 > 2 and 2 > 1", "not (1 < 2)", "grid != '0.079 kg/kWh'",
        "grid < '0.079 kg/kWh'", "grid > '0.079 kg/kWh'", "odd == 'inf'"})
    CHECK_FALSE(holds(condition, lookup));
  for (const char* condition :
       {"", "1", "1 +", "(1 < 2", "pods > 1", "slice > 3", "1 < 2 3", "'a", "link < '1 GB'", "and",
        // What is silently false is worse than wrong.
        "odd < 1", "odd > 1", "odd == 1", "endless > 1", "endless == 1", "1e308 * 10 > 1",
        "0 < 1e308 * 10 - 1e308 * 10", "link == '79 g/kWh'", "grid != '45 GB/s'"})
    CHECK_THROWS_AS(holds(condition, lookup), std::invalid_argument);
}
