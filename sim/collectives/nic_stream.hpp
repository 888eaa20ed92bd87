#pragma once
// What all algorithms between pods or nodes share. Their data is cut into pieces far smaller than a chunk: a host sends
// on what has come in while the rest is on its way, and reduces it piece by piece. So a NIC is never idle while it has
// something to send, and what a device sends is one stream, as long as that of the member that sends most; with which
// partners it shares it does not matter, since all of them do as much and all of the ring end when the last does: what
// is late on one NIC is late for all that wait for it.
//     T = latency of the first piece + work + rest, and not less than the pace
// where work is the stream over the NIC, which all devices of a host use at once, the rest what later pieces still wait
// for when the NICs are done, and the pace what it takes if latencies decide (see each algorithm).
//
// A NIC that waited for each whole chunk would have gaps in which another device of the host, out of step because of a
// fault, could send: then what is broken would be faster than what is whole.

#include "sim/collectives/phase.hpp"

namespace podsim {

// An algorithm says its work(), latencies() of all steps in turn, traffic(), and its pace() or rest().
class NicStream : public Phase {
public:
  using Phase::Phase;

  std::int64_t sends(const RingPlace&, int direction) const final { return direction > 0 ? 1 : 0; }
  std::int64_t receives(const RingPlace& at, int direction) const final { return sends(at, direction); }
  std::int64_t receives_before(const RingPlace&, int, std::int64_t) const final { return 0; }
  Ticks transmission(const RingPlace&, int, std::int64_t) const final { return work({}); }
  bool ends_together() const final { return true; }
  Ticks duration(const LineState& line) const final { return std::max(latency() + busy(line) + rest(), pace(line)); }
};

} // namespace podsim
