#pragma once
// Phases that overlap: the chunks of a collective follow each other over all its axes (NVLink and NICs), and what it
// puts on each is one transmission, so that the slowest axis sets the pace. The latencies are those of all phases;
// where a ring goes through the devices of every node in turn, it meets those inside a node once a node. With t for how
// long an axis is busy:
//     T = max over axes (latency + t) + the latencies beyond that one

#include "sim/collectives/plan.hpp"

namespace podsim {

Plan overlapped(const PlanPart& phases, const Machine& machine);

} // namespace podsim
