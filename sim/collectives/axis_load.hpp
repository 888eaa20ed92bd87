#pragma once
// What a collective that uses all its axes at once puts on one of them: each link of the axis carries what its busiest
// one does, as one transmission. An all-to-all is made of these (all_to_all.hpp), and so is a collective whose phases
// overlap (overlapped.hpp).

#include "sim/collectives/phase.hpp"

namespace podsim {

class AxisLoad : public Phase {
public:
  // How long the busiest link is busy, and if the ring is cut; what a device sends; see Phase::cut_time.
  struct Amount {
    Ticks step = 0, open_step = 0;
    Bytes sent{};
    Ticks cut_time = 0;
  };

  AxisLoad(const AxisFactor& factor, const Machine& machine, const Amount& amount)
      : Phase(factor, machine), amount_(amount)
  {
  }

  std::int64_t sends(const RingPlace& at, int direction) const override;
  std::int64_t receives(const RingPlace& at, int direction) const override;
  std::int64_t receives_before(const RingPlace&, int, std::int64_t) const override { return 0; }
  Ticks transmission(const RingPlace& at, int direction, std::int64_t send) const override;
  Ticks work(const LineState& line) const override;
  Ticks latencies(const LineState&) const override { return latency(); }
  Traffic traffic() const override { return {amount_.sent, amount_.step}; }
  Ticks cut_time() const override { return amount_.cut_time; }

private:
  Ticks step(bool cut) const { return cut && factor().closed ? amount_.open_step : amount_.step; }

  Amount amount_;
};

} // namespace podsim
