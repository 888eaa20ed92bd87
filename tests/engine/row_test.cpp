// Rows by themselves, by hand.

#include "sim/engine/row.hpp"

#include "tests/support/measured.hpp"

#include <catch2/catch.hpp>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("a row by itself: an asynchronous collective is waited for by who needs it, behind those of its queue")
{
  // compute 5; two collectives of one queue, 10 each, begun at 5; compute 3 beside them; then one that needs the first
  // (until 15) and one that needs the second (until 25).
  DeviceBlock block;
  const auto add = [&](DeviceOperation::Kind kind, bool asynchronous, std::vector<int> needs) {
    DeviceOperation& own = block.operations.emplace_back();
    own.kind             = kind;
    own.asynchronous     = asynchronous;
    own.needs            = std::move(needs);
    own.collective.axes  = 2;
  };
  using Kind = DeviceOperation::Kind;
  add(Kind::compute, false, {});
  add(Kind::collective, true, {0});
  add(Kind::collective, true, {0});
  add(Kind::compute, false, {});
  add(Kind::compute, false, {1});
  add(Kind::compute, false, {2});
  const RowAlone row = row_alone(block, {5, 10, 10, 3, 4, 2});
  CHECK(row.whole);
  CHECK(row.operations[3].wait() == 0);
  CHECK(row.operations[4].wait() == 7); // 8 to 15
  CHECK(row.operations[5].wait() == 6); // 19 to 25
  CHECK(row.operations[4].waited_for == 2);
  CHECK(row.operations[5].waited_for == 2);
  CHECK(row.operations[2].start == 15); // behind the first of its queue
  CHECK(row.time == 27);
  block.operations[5].needs.clear(); // then nobody waits for the second, which outlives the row
  CHECK_FALSE(row_alone(block, {5, 10, 10, 3, 4, 2}).whole);
}

TEST_CASE("rows whose collectives nobody else has a say in are one event, as if each had been one by one")
{
  // Compute for 1.001 ms; gather over y and z beside 1.001 ms more; then 2.001 ms that need what is gathered. Three
  // times, of which the gather takes 3.004 ms each: 2.003 ms of it are waited for.
  const Prepared p  = test::prepare({});
  const Scenario& s = p.scenario;
  const auto step   = [&](bool awaited_at_once) {
    const ShardedProgram program =
        one_stage(s.mesh, {block("layer", 3,
                                   {compute(matrix_work), gather(1, Bytes(64e6), true, {0}), compute(matrix_work),
                                  compute(hbm_work, awaited_at_once ? std::vector<int>{1} : std::vector<int>{})}),
                           block("update", 1, {compute(hbm_work, {}, Pass::update)})});
    return std::pair(program, test::simulate(program, s.machine, s.placement, MultiAxis::sequential,
                                               Granularity::automatic, false, false));
  };
  const auto [program, trace] = step(true);
  CHECK(trace.activities == 2);
  REQUIRE(trace.records.size() == 2);
  CHECK(trace.records[0].operations == 3 * 4);
  const double row = 1.001e-3 + gather_yz_time + 2.001e-3;
  CHECK(trace.end.value() == Approx(3 * row + 2.001e-3));
  const Metrics m = measured(p, program);
  CHECK(part(m, "exposed_ici_data") == Approx(3 * (gather_yz_time - 1.001e-3)));
  CHECK(part(m, "matrix_unit") == Approx(3 * 2 * 1e-3));
  CHECK(part(m, "hbm") == Approx(3 * 2e-3));

  const TimedProgram timed =
      time_program(program, s.machine, s.placement, MultiAxis::sequential, Granularity::automatic);
  const std::vector<TraceRecord> single = single_records(trace, program, timed, s.machine);
  REQUIRE(single.size() == 3 * 4 + 1);
  for (int i = 0; i < 3; ++i) {
    const TraceRecord& gathered = single[static_cast<std::size_t>(4 * i + 1)];
    CHECK(gathered.iteration == i);
    CHECK(gathered.start.value() == Approx(i * row + 1.001e-3));
    CHECK(gathered.end.value() == Approx(i * row + 1.001e-3 + gather_yz_time));
    const TraceRecord& last = single[static_cast<std::size_t>(4 * i + 3)];
    CHECK(last.ready.value() == Approx(i * row + 2.002e-3));
    CHECK(last.start.value() == gathered.end.value());
    CHECK(last.waited_for == 1);
  }

  // One that nobody needs goes on into the next row: then each is an event.
  CHECK(step(false).second.activities > 6);
}
