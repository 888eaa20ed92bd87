#pragma once
// What one device does in a training step: the program after partitioning. Every device of a set runs the
// same operations on its own shard, so one list stands for all of them.

#include "sim/core/work.hpp"
#include "sim/program/program.hpp"
#include "sim/sharding/collective.hpp"
#include "sim/sharding/mesh.hpp"

#include <boost/graph/adjacency_list.hpp>
#include <string>
#include <vector>

namespace podsim {

struct DeviceOperation {
  enum class Kind : std::uint8_t { compute, collective };

  std::string name;
  Kind kind = Kind::compute;
  Pass pass = Pass::forward;
  Work work{};               // of a compute operation
  Collective collective{};   // of a collective
  bool asynchronous = false; // waits in the queue of its mesh axes instead of standing in the order
  std::vector<int> needs{};  // earlier operations of the block, besides the order itself
};

// A tensor's place in HBM while a block runs: from the operation that makes it to the last that reads it.
struct Buffer {
  enum class Kind : std::uint8_t { workspace, gathered_weights, gradients };
  std::string name;
  Kind kind;
  Bytes size;
  int first, last; // operations; first is -1 for what is there when the block starts
};

struct DeviceBlock {
  std::string name;
  std::int64_t count = 1;
  std::vector<DeviceOperation> operations; // in the order of execution
  std::vector<Buffer> buffers;
  Bytes saved;                         // kept from each iteration until the backward pass
  bool waits_for_asynchronous = false; // begins only when all asynchronous collectives have ended
};

// What a device keeps through the whole step.
struct ResidentBytes {
  Bytes parameters, optimizer_state, gradients;
};

struct DeviceProgram {
  std::vector<DeviceBlock> blocks;
  ResidentBytes resident;
};

// Pipeline-free training has one program for all devices of the mesh; each pipeline stage will be an entry of its
// own.
struct ShardedProgram {
  Mesh mesh;
  std::vector<DeviceProgram> programs;
  int prefetch_iterations = 0; // how far ahead an asynchronous collective without operands may start
};

// Which operations of a block must precede which: edges from `needs` and, between the operations that are not
// asynchronous, from their order.
using PrecedenceGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;
PrecedenceGraph precedence(const DeviceBlock& block);

} // namespace podsim
