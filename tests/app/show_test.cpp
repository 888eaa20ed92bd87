#include "tests/support/palm.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("command line: show says what a scenario is, without simulating it")
{
  const Outcome outcome = call({"show", palm_file});
  CHECK(outcome.code == done);
  CHECK(outcome.err.empty());
  for (const char* part :
       {"540354281472", "12x16x16", "all-gather weights", "118 times", "GiB", "matrix_peak", "6144 chips"})
    CHECK_THAT(outcome.out, Catch::Contains(part));
  for (const char* part : {"simulated", "step time", "MFU"})
    CHECK_THAT(outcome.out, !Catch::Contains(part));
}
