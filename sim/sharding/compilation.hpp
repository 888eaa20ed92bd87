#pragma once
// What the software of the day makes of the collectives, gradients and transfers that a partition brings.

#include "sim/program/tensor.hpp"
#include "sim/sharding/mesh.hpp"

namespace podsim {

// What a collective over several axes does with their links: one axis after the other; the data in as many parts as
// there are torus axes, each part starting on another axis; or, as NCCL's rings through nodes, all axes at once, the
// chunks of one following those of the other: then the slowest axis sets the pace, and the latencies add up.
enum class MultiAxis : std::uint8_t { sequential, concurrent, pipelined };

// Which collectives the compiler makes asynchronous.
struct Overlap {
  bool weight_gathers                                    = false;
  bool gradient_reductions                               = false;
  bool activation_reductions                             = false; // of activations' gradients, in the backward pass
  bool activation_gathers                                = false; // of saved activations, in the backward pass
  int prefetch_layers                                    = 0;     // how many layers ahead weights may be gathered
  friend bool operator==(const Overlap&, const Overlap&) = default;
};

// How gradients of several micro-batches become one.
enum class Accumulation : std::uint8_t { none, fused, separate }; // in the product's output, or by a kernel of its own
struct Gradients {
  AxisMask after_backward    = 0;     // mesh axes over which they are reduced only after the whole backward pass
  bool last_micro_batch_only = false; // else each micro-batch's are reduced
  Accumulation accumulation  = Accumulation::none;
  Dtype accumulator          = Dtype::f32;
  friend bool operator==(const Gradients&, const Gradients&) = default;
};

// How activations go from stage to stage.
struct Transfers {
  bool blocking            = false; // the sender waits until the data has left
  bool blocking_receives   = false; // the data moves when both are there, and both wait for it
  bool scattered           = false; // each device of a tensor-parallel group sends its part, and the receivers gather
  bool scattered_gradients = false; // the same of their gradients
  friend bool operator==(const Transfers&, const Transfers&) = default;
};

// Bytes of HBM traffic an element beside a collective, in copies to and from its buffer, casts and scalings; 0 where it
// works on the tensors themselves.
struct Copies {
  double after_weight_gather                           = 0;
  double before_gradient_reduction                     = 0;
  friend bool operator==(const Copies&, const Copies&) = default;
};

struct Compilation {
  bool combines = true; // gathers of weights and reductions of gradients, into one of a kind a block
  Copies copies;
  Overlap overlap;
  Gradients gradients;
  Transfers transfers;
  friend bool operator==(const Compilation&, const Compilation&) = default;
};

} // namespace podsim
