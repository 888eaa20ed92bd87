#pragma once
// The first pass over a block: how each operation finds and leaves its operands on the mesh, and which collectives make
// it so (partition.hpp says which).
//
// Takes a block, the mesh and the rules; nothing of the software of the day. Gives the versions of each tensor, and for
// each operation which of them it reads and makes and what must be communicated before it. A collective stands at the
// first reader of what it makes; `overlap` says where it runs.

#include "sim/program/program.hpp"
#include "sim/sharding/collective.hpp"
#include "sim/sharding/sharding.hpp"

#include <span>
#include <vector>

namespace podsim {

// A tensor as it lies at one time: as it is stored, as it was produced, or as some reader needs it.
struct Version {
  enum class Origin : std::uint8_t { stored, operations, collective };

  TensorId tensor;
  Layout layout;
  double elements; // on a device
  Origin origin;
  int maker;  // of a collective's result: which one
  int holder; // the version of which it is a slice, or itself: that one has the memory
};

struct BlockCollective {
  TensorId tensor;
  CollectiveKind kind;
  AxisMask axes;
  int from, to;    // versions
  double elements; // what Collective::full counts
};

struct OutputLayout {
  int version;
  double elements; // that the operation writes on a device: of a summand, maybe not those of the version
};

struct OperationLayouts {
  Loops loops; // of what is no pointwise operation, in the order in which the rules split them,
  Layout split;
  std::size_t first_collective = 0; // of those before it; the next operation's first is behind the last
  std::size_t first_input = 0, first_output = 0;
};

struct BlockLayouts {
  std::vector<Version> versions; // the first are the tensors of the block as they are stored
  std::vector<BlockCollective> collectives;
  std::vector<OperationLayouts> operations; // like the block's, then of readers of its outputs, one each
  std::vector<int> inputs;                  // versions, of all of them
  std::vector<OutputLayout> outputs;

  // Of an operation, by its place in the block.
  std::span<const int> inputs_of(std::size_t operation) const;
  std::span<const OutputLayout> outputs_of(std::size_t operation) const;
  std::span<const BlockCollective> collectives_before(std::size_t operation) const;
  const Version& version(int id) const { return versions[static_cast<std::size_t>(id)]; }
};

// `unreduced`: mesh axes over which gradients of weights stay summands when the block ends. Throws std::logic_error
// where an operation reads a sum to which a later one adds.
BlockLayouts layouts(const Block& block, const Mesh& mesh, const ShardingRules& rules, AxisMask unreduced);

} // namespace podsim
