#pragma once
// What a trace says: rates, where the time went, what the links carried.
//
// Utilisation after PaLM's appendix B (arXiv:2204.02311): a token costs 6N + 12 L H Q T model FLOPs (N
// parameters, T tokens a sequence, L layers of H heads of size Q; attention counted in full); MFU is
// tokens/s times that over the peak. HFU here is of what the step executes; after PaLM it would be MFU with what is
// recomputed, as published figures of that convention count it.

#include "sim/metrics/breakdown.hpp"
#include "sim/metrics/flops.hpp"
#include "sim/metrics/links.hpp"
#include "sim/metrics/memory.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace podsim {

struct Metrics {
  Seconds step_time;
  double tokens_per_step = 0, tokens_per_s = 0;
  double mfu = 0, mfu_without_attention = 0, hfu = 0; // fractions of 1
  double device_use = 0; // of the device that executes most, padding and copies included: of what its peak allows
  std::optional<Routing> routing; // of a model with experts
  ModelShape model;
  FlopsPerToken flops;
  std::vector<Breakdown> breakdowns; // of each class of the trace
  std::size_t critical = 0;          // the class whose own work ends last and waits least
  BytesPerSecond dcn_burst;          // all hosts together, while the cross-pod exchange runs; 0 without one
  std::vector<LinkUse> links;
  double chips = 1;    // of the machine
  FlopsPerSecond peak; // of one of them
  double bubble = 0;   // mean over devices of the share of the step in which one waits for others
  std::optional<Seconds> layer_forward, layer_backward; // one layer, where the program has such blocks
  std::optional<double>
      bisection; // share of the torus's tightest cut that all-to-alls use while they run by themselves
  std::optional<BytesPerSecond> achieved_bandwidth; // of a micro-benchmark
  std::optional<FlopsPerSecond> achieved_flops;
};

// What a step over n pods takes longer than one pod's own, on average, relative to that: each pod's time is that of a
// shifted exponential distribution of this scale, and the slowest sets the pace:
//     E[max of n] - E[one] = scale (1 + 1/2 + ... + 1/n - 1)
double waiting_for_slower_pods(double scale, std::int64_t pods);

Metrics measure(const Program& program, const ShardedProgram& sharded, const TimedProgram& timed,
                const Machine& machine, const Placement& placement, const Trace& trace);
Metrics measure(const Program& program, const ShardedProgram& sharded, const TimedProgram& timed,
                const Machine& machine, const Placement& placement, const Course& course, const Tally& tally);

// Of so many FLOPs a token. The one place where it is worked out: another order of the same factors gives other bits.
double utilisation(const Metrics& metrics, double flops);

// Shares of the step: in which the class that waits least waits for others, and in which communication has nothing
// beside it on the critical class.
double least_bubble(const Metrics& metrics);
double exposed_share(const Metrics& metrics);

// What one token costs a machine whose chips draw so much each, in joules; nothing where that is not known, or
// there are no tokens.
std::optional<double> energy_per_token(std::optional<Watts> chip_power, const Metrics& metrics);

} // namespace podsim
