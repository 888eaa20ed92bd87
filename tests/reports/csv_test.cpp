#include "reports/csv.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

TEST_CASE("files: cells of CSV that a spreadsheet would run are texts there, and numbers stay numbers")
{
  CHECK(csv_line({"=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1",
                  "\xef\xbc\x9d"
                  "1",
                  "-nan", "+", "-"}) == "'=1+1,'+cmd|x,'-2+3,'@SUM(A1),'\t=1,\"'\r=1\",'\xef\xbc\x9d"
                                        "1,'-nan,'+,'-\n");
  CHECK(csv_line({"-1", "+1", "-1.5e-3", "-.5", "1e9", "a=b", "", "x-y"}) == "-1,+1,-1.5e-3,-.5,1e9,a=b,,x-y\n");
  CHECK(csv_line({"=\"a\",b", "two\nlines", "a\x1b\xc2\x9b"}) == "\"'=\"\"a\"\",b\",\"two\nlines\",a\\x1b\\u009b\n");
}
