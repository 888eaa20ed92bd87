#include "reports/github.hpp"

#include "sim/core/utf8.hpp"
#include "tests/support/gate_rows.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sstream>
#include <string>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("GitHub's escapes and limits")
{
  Gate gate;
  gate.baseline = "b|.json";
  gate.rows.push_back(row_named("a,b:c%\r\n|<b>`x`\\*", RowStatus::missing));
  const std::string one = annotations(gate);
  CHECK(std::count(one.begin(), one.end(), '\n') == 1);
  CHECK_THAT(one, Catch::StartsWith("::error file=a%2Cb%3Ac%25%0D%0A|<b>`x`\\*,title=a%2Cb%3Ac%25%0D%0A|<b>`x`\\* "
                                    "missing::because of a,b:c%25%0D%0A|<b>`x`"));
  const std::string summary = step_summary(gate, summary_limit);
  CHECK_THAT(summary, Catch::Contains("&#124;&#60;b&#62;&#96;x&#96;&#92;&#42;") && !Catch::Contains("<b>"));
  CHECK_THAT(summary, Catch::Contains("b&#124;.json"));

  gate.rows.clear();
  for (int i = 0; i < 25; ++i) {
    gate.rows.push_back(row_named(fmt::format("s{}", i), RowStatus::added));
    GateRow warned = row_named(fmt::format("w{}", i), RowStatus::unchanged);
    warned.cause.scenario.push_back({"a", "1", "2", ""});
    gate.rows.push_back(warned);
  }
  gate.rows.front().reason = std::string(100'000, 'x') + "\xe2\x82\xac";
  std::istringstream lines(annotations(gate));
  std::size_t errors   = 0;
  std::size_t warnings = 0;
  std::string last;
  for (std::string line; std::getline(lines, line); last = line) {
    errors += line.starts_with("::error ") ? 1 : 0;
    warnings += line.starts_with("::warning ") ? 1 : 0;
    CHECK(line.size() < 4200);
  }
  CHECK(errors == annotations_shown);
  CHECK(warnings == annotations_shown);
  CHECK_THAT(last, Catch::Contains("and 16 more: 25 new, 25 unchanged (25 with a warning)"));

  gate.rows.assign(20'000, row_named(std::string(100, '|'), RowStatus::missing));
  const std::string long_one = step_summary(gate, summary_limit);
  CHECK(long_one.size() <= summary_limit);
  CHECK(long_one.size() > summary_limit / 2);
  CHECK_THAT(long_one, Catch::Contains(" more | | |\n"));
  CHECK(step_summary(gate, 10).empty());
  CHECK(cut("a\xe2\x82\xac", 3) == "a");
}
