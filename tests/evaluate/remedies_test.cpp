#include "tests/support/first_scenario.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

// 64 H100 with 80 GiB: a sequence of 131072 tokens on each, its logits (128256 words in f32) alone are 62.6 GiB. Halves
// of sequences on twice as many devices help; smaller micro-batches do not, there is one sequence.
TEST_CASE("what lacks memory is told what helps, what costs least first, with its memory and step time")
{
  const Sandbox sandbox;
  const auto run = [&](const json& workload) {
    sandbox.write("mine.json", first_scenario({{"workload", workload}}));
    return sandbox.call({"run", "mine.json"});
  };
  const std::string fits = "it would fit with ";
  const std::string cost = R"( \([0-9.]+ GiB, [0-9.]+ s a step\))";
  check_error(run({{"batch", 64}, {"sequence", 131072}}), cannot_run,
              {fits + "a mesh axis context of 2 out of data, now 32", "sharding context", " s a step)"});
  const std::string both = run({{"remat", "none"}}).err;
  CHECK_THAT(both, Catch::Matches(".*" + fits + "workload.micro_batch=[1-4]" + cost + " or workload.remat=[a-z]+" +
                                  cost + "\n"));
}
