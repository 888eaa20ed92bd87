#include "sim/collectives/torus_ring.hpp"

namespace podsim {
namespace {

class TorusRing : public Phase {
public:
  TorusRing(RingUse use, const AxisFactor& factor, Bytes chunk, const Machine& machine)
      : Phase(factor, machine), use_(use), chunk_(chunk), step_(to_ticks(chunk / machine.wire(factor.axis).effective()))
  {
    const bool halved = factor.closed && factor.length % 2 == 0;
    last_step_        = halved ? to_ticks(chunk * 0.5 / machine.wire(factor.axis).effective()) : step_;
  }

  std::int64_t sends(const RingPlace& at, int direction) const override
  {
    if (at.closed)
      return length() / 2 * factor().stride;
    const std::int64_t ahead = length() - 1 - behind(at, direction);
    if (ahead == 0)
      return 0;
    return use_ == RingUse::gather ? behind(at, direction) + 1 : ahead;
  }

  std::int64_t receives(const RingPlace& at, int direction) const override
  {
    if (at.closed)
      return sends(at, direction);
    return behind(at, direction) == 0 ? 0 : sends({at.position - direction, false}, direction);
  }

  std::int64_t receives_before(const RingPlace& at, int direction, std::int64_t send) const override
  {
    if (at.closed || use_ == RingUse::gather)
      return send;
    return behind(at, direction) > 0 ? send + 1 : 0; // a partial sum waits for those behind; the first has none
  }

  Ticks transmission(const RingPlace& at, int direction, std::int64_t send) const override
  {
    return at.closed && send >= sends(at, direction) - factor().stride ? last_step_ : step_;
  }

  Ticks work(const LineState& line) const override
  {
    const Ticks step = at_link_speed(step_, line.speed);
    if (!is_ring(line))
      return (length() - 1) * step;
    return factor().stride * ((length() / 2 - 1) * step + at_link_speed(last_step_, line.speed));
  }

  Ticks latencies(const LineState& line) const override
  {
    return latency() * (is_ring(line) ? factor().stride * (length() / 2) : length() - 1);
  }

  Traffic traffic() const override
  {
    const auto chunks    = static_cast<double>(length() - 1); // both directions together; of a line on average
    const double relayed = factor().closed ? static_cast<double>(factor().stride) : 1.0;
    const Bytes sent     = chunk_ * (chunks * relayed);
    if (factor().closed)
      return {sent, work({})};
    return use_ == RingUse::gather ? Traffic(sent, step_, work({})) : Traffic(sent, work({}), step_);
  }

private:
  std::int64_t length() const { return factor().length; }
  bool is_ring(const LineState& line) const { return factor().closed && !line.cut; }
  std::int64_t behind(const RingPlace& at, int direction) const
  {
    return direction > 0 ? at.position : length() - 1 - at.position;
  }

  RingUse use_;
  Bytes chunk_;
  Ticks step_; // of a chunk at the full rate of its link
  Ticks last_step_ = 0;
};

} // namespace

PhasePtr torus_ring(RingUse use, const AxisFactor& factor, Bytes chunk, const Machine& machine)
{
  return std::make_shared<TorusRing>(use, factor, chunk, machine);
}

} // namespace podsim
