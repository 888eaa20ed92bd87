#include "sim/collectives/switched_ring.hpp"

namespace podsim {
namespace {

class SwitchedRing : public Phase {
public:
  SwitchedRing(const AxisFactor& factor, Bytes chunk, const Machine& machine)
      : Phase(factor, machine), chunk_(chunk), step_(to_ticks(chunk / machine.wire(factor.axis).effective()))
  {
  }

  std::int64_t sends(const RingPlace&, int direction) const override { return direction > 0 ? steps() : 0; }
  std::int64_t receives(const RingPlace& at, int direction) const override { return sends(at, direction); }
  std::int64_t receives_before(const RingPlace&, int, std::int64_t send) const override { return send; }
  Ticks transmission(const RingPlace&, int, std::int64_t) const override { return step_; }
  Ticks work(const LineState& line) const override { return steps() * at_link_speed(step_, line.speed); }
  Ticks latencies(const LineState&) const override { return steps() * latency(); }
  Traffic traffic() const override { return {chunk_ * static_cast<double>(steps()), work({})}; }

private:
  std::int64_t steps() const { return factor().length - 1; }

  Bytes chunk_;
  Ticks step_; // of a chunk at the full rate of its link
};

} // namespace

PhasePtr switched_ring(const AxisFactor& factor, Bytes chunk, const Machine& machine)
{
  return std::make_shared<SwitchedRing>(factor, chunk, machine);
}

} // namespace podsim
