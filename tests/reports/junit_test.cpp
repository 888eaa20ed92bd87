#include "reports/junit.hpp"

#include "tests/support/gate_rows.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("JUnit is valid whatever the names hold")
{
  Gate gate;
  gate.baseline    = "b\"<&>'\x01.json";
  gate.podsim_now  = "1";
  gate.simgrid_now = gate.simgrid_was = "2";
  int number                          = 0;
  for (const std::string name :
       {"]]>", "<a & \"b\">", "tab\tfeed\nreturn\r", "bell\x07 escape\x1b[1m", "broken \xff\xc3",
        "long \xf0\x9f\x98\x80", "\xed\xa0\x80 surrogate", "\xef\xbf\xbf", "\xc0\xaf overlong"})
    for (const RowStatus status : {RowStatus::failed, RowStatus::missing, RowStatus::unchanged, RowStatus::moved})
      gate.rows.push_back(row_named(fmt::format("{} {}", ++number, name), status));
  gate.rows[2].cause.scenario.push_back({"a.<b>", "\x02", {}, ""}); // a warning
  const Sandbox sandbox;
  sandbox.write("j.xml", to_junit(gate));
  const std::string schema = source + "/tests/data/junit.xsd";
  CHECK(tool("xmllint", {"--noout", "--schema", schema, sandbox.path("j.xml")}).empty());
  const Outcome name = run_program("xmllint", {"--xpath", "string(//testcase[6]/@name)", sandbox.path("j.xml")});
  CHECK(name.out == "6 <a & \"b\">\n");
  const Outcome feeds = run_program("xmllint", {"--xpath", "string(//testcase[9]/@name)", sandbox.path("j.xml")});
  CHECK(feeds.out == "9 tab\tfeed\nreturn\r\n");

  // The schema is strict: a report without its counts is none.
  sandbox.write("wrong.xml", std::string("<testsuites><testsuite name=\"x\"/></testsuites>"));
  CHECK_FALSE(tool("xmllint", {"--noout", "--schema", schema, sandbox.path("wrong.xml")}).empty());
}
