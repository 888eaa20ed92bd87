#pragma once
// Metrics of small scenarios, and of programs of a few operations on 4x4x4 chips of the generic machine: 100 TFLOP/s,
// 1 TB/s, 10 TOP/s, 1 us dispatch, links of 10 GB/s, 1 us a hop. Mesh axes: bit 0 data on y and z, bit 1 model on x.

#include "tests/support/small_scenario.hpp"

#include <string>
#include <utility>
#include <vector>

namespace podsim::test {

inline Metrics measured(const Prepared& p, Granularity granularity = Granularity::automatic)
{
  const Scenario& s = p.scenario;
  return measure(p.program, p.sharded, timed_program(p, granularity), s.machine, s.placement,
                 test::simulate(p, granularity, false));
}

inline Seconds sum(const Breakdown& breakdown)
{
  Seconds total;
  for (const auto& [name, time] : breakdown)
    total += time;
  return total;
}

// Programs of a few operations on 4x4x4 chips of the generic machine: 100 TFLOP/s, 1 TB/s, 10 TOP/s, 1 us dispatch,
// links of 10 GB/s, 1 us a hop. Mesh axes: bit 0 data on y and z, bit 1 model on x.
inline DeviceOperation compute(Work work, std::vector<int> needs = {}, Pass pass = Pass::forward)
{
  DeviceOperation op{.name = "compute", .kind = DeviceOperation::Kind::compute, .pass = pass};
  op.work  = work;
  op.needs = std::move(needs);
  return op;
}

inline DeviceOperation gather(AxisMask axes, Bytes full, bool asynchronous = false, std::vector<int> needs = {})
{
  DeviceOperation op{.name = "gather", .kind = DeviceOperation::Kind::collective};
  op.collective   = {CollectiveKind::all_gather, axes, full};
  op.asynchronous = asynchronous;
  op.needs        = std::move(needs);
  return op;
}

inline DeviceBlock block(std::string name, std::int64_t count, std::vector<DeviceOperation> operations)
{
  DeviceBlock made;
  made.name       = std::move(name);
  made.count      = count;
  made.operations = std::move(operations);
  return made;
}

inline Metrics measured(const Prepared& p, const ShardedProgram& program,
                        Granularity granularity = Granularity::automatic)
{
  const Scenario& s = p.scenario;
  return measure(p.program, program, time_program(program, s.machine, s.placement, MultiAxis::sequential, granularity),
                 s.machine, s.placement,
                 test::simulate(program, s.machine, s.placement, MultiAxis::sequential, granularity));
}

inline double part(const Metrics& m, const std::string& name)
{
  double sum = 0;
  for (const auto& [known, time] : m.breakdowns[m.critical])
    sum += known == name ? time.value() : 0;
  return sum;
}

inline const Work matrix_work{{1, 1000, 1000, 50000}, Bytes(0), Ops(0)};              // 1 ms
inline const Work hbm_work{{0, 0, 0, 0}, Bytes(2e9), Ops(0)};                         // 2 ms
inline const Work vector_work{{0, 0, 0, 0}, Bytes(0), Ops(30e6 * 1e3)};               // 3 ms
inline constexpr double gather_x_time  = 1.5 * 16e6 / 10e9 + 2e-6;                    // of 64 MB over 4 chips
inline constexpr double gather_yz_time = 1.5 * 4e6 / 10e9 + 1.5 * 16e6 / 10e9 + 4e-6; // over 4 x 4

} // namespace podsim::test
