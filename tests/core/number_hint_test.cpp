#include "sim/core/number_hint.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

TEST_CASE("numbers as people write them")
{
  using podsim::number_hint;
  using podsim::NumberKind;
  CHECK(number_hint("15T", NumberKind::any) == "; write it as 15e12");
  CHECK(number_hint("300 B", NumberKind::any) == "; write it as 300e9");
  CHECK(number_hint("128k", NumberKind::whole) == "; write 131072 (128 times 1024) or 128000");
  CHECK(number_hint("1,048,576", NumberKind::whole) == "; write it without quotes: 1048576");
  CHECK(number_hint("50%", NumberKind::fraction) == "; write it as 0.5");
  CHECK(number_hint("12 x 16 x 16", NumberKind::whole) == "; write it as 3072");
  CHECK(number_hint("many", NumberKind::whole).empty());
  CHECK(podsim::as_number(".8") == 0.8);
  CHECK(podsim::as_number("+2.") == 2.0);
  CHECK(!podsim::as_number("nan"));
  CHECK(!podsim::as_number("2 x"));
  CHECK(podsim::as_shape("12*16 X 16") == "12x16x16");
  CHECK(podsim::as_shape("12x").empty());
}
