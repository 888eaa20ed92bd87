#include "sim/collectives/halving_doubling.hpp"

#include <bit>

namespace podsim {
namespace {

class HalvingDoubling : public NicStream {
public:
  HalvingDoubling(const AxisFactor& factor, Bytes chunk, const Machine& machine)
      : NicStream(factor, machine), log_(std::bit_width(static_cast<std::uint64_t>(factor.length)) - 1),
        in_pairs_(factor.length != std::int64_t{1} << log_), all_(chunk * static_cast<double>(factor.length)),
        exchanged_(
            to_ticks(all_ * (2 - 2 / static_cast<double>(std::int64_t{1} << log_)) / machine.host.nic_bandwidth)),
        whole_(to_ticks(all_ / machine.host.nic_bandwidth))
  {
  }

  Ticks work(const LineState& line) const override
  {
    return at_link_speed(exchanged_, line.speed) + (in_pairs_ ? 2 * at_link_speed(whole_, line.speed) : 0);
  }

  Ticks latencies(const LineState&) const override { return steps() * latency(); }
  Ticks rest() const override { return (steps() - 1) * latency(); }

  Traffic traffic() const override
  {
    const auto n = static_cast<double>(factor().length);
    return {all_ * (2 * (n - 1) / n), exchanged_ + (in_pairs_ ? whole_ : 0)}; // one of a pair sends the result
  }

private:
  std::int64_t steps() const { return 2 * log_ + (in_pairs_ ? 2 : 0); }

  std::int64_t log_; // of the nodes that exchange
  bool in_pairs_;    // whether others stand behind some of them
  Bytes all_;
  Ticks exchanged_, whole_; // transmission at the full rate of the NIC: of halves, quarters... there and back; of all
};

} // namespace

PhasePtr halving_doubling(const AxisFactor& factor, Bytes chunk, const Machine& machine)
{
  return std::make_shared<HalvingDoubling>(factor, chunk, machine);
}

} // namespace podsim
