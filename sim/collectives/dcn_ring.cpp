#include "sim/collectives/dcn_ring.hpp"

namespace podsim {
namespace {

class DcnRing : public NicStream {
public:
  DcnRing(const AxisFactor& factor, std::int64_t steps, Bytes chunk, const Machine& machine)
      : NicStream(factor, machine), steps_(steps), chunk_(chunk), step_(to_ticks(chunk / machine.host.nic_bandwidth))
  {
  }

  Ticks work(const LineState& line) const override { return steps_ * at_link_speed(step_, line.speed); }
  Ticks latencies(const LineState&) const override { return steps_ * latency(); }
  Traffic traffic() const override { return {chunk_ * static_cast<double>(steps_), work({})}; }

  // 0 where the NIC sets the pace even if nobody shares it.
  Ticks pace(const LineState& line) const override
  {
    const Ticks step = at_link_speed(step_, line.speed);
    return steps_ > 1 && latency() > step ? steps_ * latency() + step : 0;
  }

  std::int64_t nodes_in_turn() const override { return factor().length; } // a chunk goes round all of them

private:
  std::int64_t steps_;
  Bytes chunk_;
  Ticks step_; // of a chunk at the full rate of the NIC
};

} // namespace

PhasePtr dcn_ring(const AxisFactor& factor, Bytes chunk, const Machine& machine)
{
  return std::make_shared<DcnRing>(factor, factor.length - 1, chunk, machine);
}

PhasePtr dcn_ring_all_reduce(const AxisFactor& factor, Bytes chunk, const Machine& machine)
{
  return std::make_shared<DcnRing>(factor, 2 * (factor.length - 1), chunk, machine);
}

} // namespace podsim
