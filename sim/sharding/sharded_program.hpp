#pragma once
// What one device does in a training step: the program after partitioning. Every device of a set runs the
// same operations on its own shard, so one list stands for all of them.

#include "sim/core/work.hpp"
#include "sim/program/program.hpp"
#include "sim/sharding/collective.hpp"
#include "sim/sharding/mesh.hpp"

#include <boost/graph/adjacency_list.hpp>
#include <optional>
#include <string>
#include <vector>

namespace podsim {

struct DeviceOperation {
  // send and receive: with the next or the previous pipeline stage
  enum class Kind : std::uint8_t { compute, collective, send, receive };

  std::string name;
  Kind kind = Kind::compute;
  Pass pass = Pass::forward;
  Work work{};               // of a compute operation
  Collective collective{};   // of a collective
  bool asynchronous = false; // waits in the queue of its mesh axes instead of standing in the order
  std::vector<int> needs{};  // earlier operations of the block, besides the order itself
  Bytes transfer{};          // of a send or receive: what this device sends or gets
  int towards = 1;           // of a send or receive: 1 down the pipeline (activations), -1 up (their gradients)
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
  BlockRole role     = BlockRole::layers;
  std::int64_t count = 1;                  // of its iterations in a row, unless a step says otherwise
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

// A block that a stage runs `count` times in a row.
struct Step {
  std::int32_t block;
  std::int32_t count;
  std::int32_t chunk = 0, micro_batch = 0; // virtual stage and micro-batch, for sends and receives to find each other
};

// What the devices of one pipeline stage do: the blocks of a program in the order of the schedule.
struct Stage {
  std::size_t program;
  std::vector<Step> steps;
};

// Pipeline-free training is a pipeline of one stage.
struct ShardedProgram {
  Mesh mesh;
  std::vector<DeviceProgram> programs;
  std::vector<Stage> stages;
  std::optional<std::size_t> pipeline; // the mesh axis of the stages
  int chunks              = 1;         // virtual stages of a stage
  bool blocking_transfers = false;     // a send holds its device until the data has left
  bool blocking_receives  = false;     // and a receive, until all of it has come, from when both are there
  int prefetch_iterations = 0;         // how far ahead an asynchronous collective without operands may start

  const DeviceProgram& program_of(std::size_t stage) const { return programs[stages[stage].program]; }
};

// Which operations of a block must precede which: edges from `needs` and, between the operations that are not
// asynchronous, from their order.
using PrecedenceGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;
PrecedenceGraph precedence(const DeviceBlock& block);

} // namespace podsim
