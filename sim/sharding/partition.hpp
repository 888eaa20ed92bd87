#pragma once
// From a program to what each device does, as GSPMD partitions: the loops of a matrix product are split by
// the rules' compute table, and wherever a tensor does not lie as its reader needs it, a collective is put in
// between:
//   split in storage, whole in the loops     -> all-gather
//   summed over a split dimension            -> every member holds a summand: reduce-scatter where storage
//                                               splits over that axis, all-reduce where it does not
//   split along one dimension in storage,
//   along another in the loops               -> all-to-all
//   whole in storage, split in the loops     -> a slice, which is free
// A collective is inserted when somebody reads its result, once for all its readers in a block. Gathers
// of weights and reductions of gradients are combined into one of a kind per block, as XLA's combiner
// does.

#include "sim/sharding/compilation.hpp"
#include "sim/sharding/sharded_program.hpp"
#include "sim/sharding/sharding.hpp"

namespace podsim {

ShardedProgram partition(const Program& program, const Mesh& mesh, const ShardingRules& rules,
                         const Compilation& compilation);

} // namespace podsim
