#include "tests/support/sandbox.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("command line: list")
{
  const auto listed = [](const std::string& what) {
    const Outcome outcome = call({"list", what});
    CHECK(outcome.code == done);
    CHECK(outcome.err.empty());
    return outcome.out;
  };
  CHECK_THAT(listed("models"),
             Catch::Contains("palm-540b") && Catch::Contains("PaLM 62B") && !Catch::Contains(".json"));
  CHECK_THAT(listed("chips"), Catch::Contains("tpu-v4"));
  CHECK_THAT(listed("machines"), Catch::Contains("TPU v4 pod"));
  CHECK_THAT(listed("scenarios"), Catch::Contains("palm-540b  ") && Catch::Contains("a100/palm-62b  ") &&
                                      !Catch::Contains(".json") && !Catch::Contains("schema") &&
                                      !Catch::Contains("fsdp"));
}
