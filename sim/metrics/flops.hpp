#pragma once
// The FLOPs of a token, as one counts them or another, and of a step's experts.

#include "sim/core/figures.hpp"
#include "sim/program/program.hpp"

#include <optional>

namespace podsim {

struct FlopsPerToken {
  double weights   = 0; // 6N
  double attention = 0; // 12 L H Q T
  double repeated  = 0; // what remat recomputes, from the program
  double lookup    = 0; // of the 6N, those of parameters that no product reads
  double executed  = 0; // from the program
  double skipped   = 0; // of its fused attention, the masked half that kernels do not compute
  double model() const { return weights + attention; }
  double narayanan = 0; // 96 L h^2 (1 + T/6h + V/16Lh)
  double hardware() const { return weights + attention + repeated; }
  double counted(Counting counting) const; // 0 where nothing is counted
};
FlopsPerToken flops_per_token(const Program& program);

// The choices of experts in a step, top_k of a token in each layer that has experts: those that find room if all are
// chosen alike, and those that are dropped.
struct Routing {
  double choices = 0, kept = 0, dropped = 0;
};

std::optional<Routing> routing(const Program& program);

} // namespace podsim
