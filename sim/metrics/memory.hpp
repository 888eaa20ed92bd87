#pragma once
// The HBM that a device needs: what it keeps through the step, what the forward pass saves for the backward
// pass, and the most that is alive at once while a block runs.

#include "sim/sharding/sharded_program.hpp"

namespace podsim {

struct Memory {
  Bytes parameters, optimizer_state, gradients; // resident
  Bytes saved_activations;                      // of all layers
  Bytes gathered_weights;                       // in flight at the worst moment, those gathered ahead included
  Bytes layer_gradients;                        // not yet scattered at that moment
  Bytes workspace;                              // activations and their gradients at that moment
  Bytes total() const;
  Memory times(double devices) const; // of several that hold as much each
};

Memory memory(const ShardedProgram& program);

} // namespace podsim
