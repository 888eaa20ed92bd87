// An evaluation goes from process to process without losing a bit.

#include "reports/json.hpp"
#include "reports/text.hpp"
#include "sim/evaluate/evaluate.hpp"
#include "sim/evaluate/evaluation_bytes.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <stdexcept>

using namespace podsim;

namespace {

Evaluation evaluated(const std::string& name, const std::vector<std::string>& changes = {})
{
  const Catalogue catalogue(PODSIM_SOURCE_DIR);
  return evaluate(read_scenario(resolve(catalogue.file(Shelf::scenarios, name), changes, catalogue)));
}

// The bytes hold every member, so that those of what came back are the same only if all of it did.
void check_returns(const Evaluation& evaluation)
{
  const std::string bytes = to_bytes(evaluation);
  const Evaluation back   = evaluation_from_bytes(bytes);
  CHECK(to_bytes(back) == bytes);
  CHECK(to_json(back) == to_json(evaluation));
  CHECK(to_text(back, Style(false)).text() == to_text(evaluation, Style(false)).text());
}

} // namespace

TEST_CASE("every evaluation of the catalogue goes to bytes and back: faults, experts, micro-benchmarks")
{
  const Catalogue catalogue(PODSIM_SOURCE_DIR);
  bool faults     = false;
  bool experts    = false;
  bool benchmarks = false;
  for (const std::string& name : catalogue.names(Shelf::scenarios)) {
    CAPTURE(name);
    const Evaluation one = evaluated(name);
    check_returns(one);
    faults     = faults || one.faults;
    experts    = experts || one.experts;
    benchmarks = benchmarks || one.metrics->achieved_bandwidth;
  }
  CHECK((faults && experts && benchmarks));
}

TEST_CASE("so does one without a result, and one with all that is seldom there")
{
  check_returns(Evaluation());
  Evaluation refused = evaluated("training/palm-540b", {"workload.remat=none"});
  CHECK(refused.status == Status::memory);
  check_returns(refused);
  refused.refuse({Status::mesh, "a line\nwith \"quotes\", \xff and " + std::string(1, '\0')});
  check_returns(refused);
  CHECK(evaluation_from_bytes(to_bytes(refused)).reason == refused.reason);

  Evaluation full                = evaluated("faults/palm-540b-straggler");
  full.published                 = evaluated("training/palm-540b").published;
  full.faults->bound             = "devices as slow as the slowest";
  full.error_bar                 = ErrorBar{"TPU v4", 11, 0.05, 0.17, "nothing"};
  full.metrics->bisection        = 0.5;
  full.metrics->dcn_burst        = BytesPerSecond(-0.0);
  full.metrics->routing          = Routing{3, 2, 1};
  full.metrics->links.at(0).sent = Bytes(std::numeric_limits<double>::denorm_min());
  full.metrics->mfu              = std::numeric_limits<double>::quiet_NaN();
  full.metrics->hfu              = std::numeric_limits<double>::infinity();
  full.simulation.wall           = Seconds(1e-3);
  full.simulation.fold_stopped   = true;
  check_returns(full);
  const Evaluation back = evaluation_from_bytes(to_bytes(full));
  CHECK(std::signbit(back.metrics->dcn_burst.value()));
  CHECK(std::isnan(back.metrics->mfu));
  CHECK(back.published.at(0).metric == full.published.at(0).metric);
  CHECK(back.faults->slowest.one == full.faults->slowest.one);
}

TEST_CASE("bytes that are cut short or go on are no evaluation")
{
  const std::string bytes = to_bytes(evaluated("micro-benchmarks/v7x-copy"));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_THROWS_AS(evaluation_from_bytes(bytes.substr(0, size)), std::logic_error);
  CHECK_THROWS_AS(evaluation_from_bytes(bytes + " "), std::logic_error);
}
