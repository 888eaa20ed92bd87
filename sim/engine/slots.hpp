#pragma once
// What a stage does as rows, an iteration of a block each; a slot is a place in a row. All devices of a stage have
// the same rows.

#include "sim/engine/timed_program.hpp"

#include <algorithm>
#include <vector>

namespace podsim {

class Slots {
public:
  struct Row {
    std::int32_t step, iteration;
  };

  Slots(const DeviceProgram& program, const Stage& stage, const TimedBlocks& timed)
      : program_(program), stage_(stage), timed_(timed)
  {
    for (const DeviceBlock& block : program.blocks) {
      width_ = std::max(width_, static_cast<std::int32_t>(block.operations.size()));
      for (const DeviceOperation& operation : block.operations) {
        has_asynchronous_ = has_asynchronous_ || operation.asynchronous;
        has_ahead_        = has_ahead_ || (operation.asynchronous && operation.needs.empty());
      }
    }
    for (std::size_t step = 0; step < stage.steps.size(); ++step)
      for (std::int32_t i = 0; i < stage.steps[step].count; ++i)
        rows_.push_back({static_cast<std::int32_t>(step), i});
  }

  std::int32_t end() const { return rows() * width_; }
  std::int32_t rows() const { return static_cast<std::int32_t>(rows_.size()); }
  std::int32_t row(std::int32_t slot) const { return slot / width_; }
  std::int32_t begin(std::int32_t row) const { return row * width_; }
  std::int32_t width() const { return width_; }
  std::int32_t place(std::int32_t slot) const { return slot % width_; } // the operation's index in its block
  const Row& label(std::int32_t row) const { return rows_[static_cast<std::size_t>(row)]; }
  std::int32_t iteration(std::int32_t slot) const { return label(row(slot)).iteration; }
  std::int32_t step_index(std::int32_t slot) const { return label(row(slot)).step; }
  const Step& step_of(std::int32_t row) const { return stage_.steps[static_cast<std::size_t>(label(row).step)]; }
  const Step& step(std::int32_t slot) const { return step_of(row(slot)); }
  std::int32_t block_index(std::int32_t slot) const { return step(slot).block; }
  const DeviceBlock& block(std::int32_t slot) const
  {
    return program_.blocks[static_cast<std::size_t>(step(slot).block)];
  }
  const DeviceOperation& operation(std::int32_t slot) const
  {
    return block(slot).operations[static_cast<std::size_t>(place(slot))];
  }
  const TimedOperation& timed(std::int32_t slot) const
  {
    return timed_[static_cast<std::size_t>(step(slot).block)][static_cast<std::size_t>(place(slot))];
  }
  std::int32_t size(std::int32_t row) const // operations in the row
  {
    return static_cast<std::int32_t>(block(begin(row)).operations.size());
  }
  std::int32_t next(std::int32_t slot) const
  {
    std::int32_t after = row(slot);
    if (place(slot) + 1 < size(after))
      return slot + 1;
    for (++after; after < rows() && size(after) == 0; ++after) {
    }
    return begin(after);
  }
  bool has_asynchronous() const { return has_asynchronous_; }
  bool has_ahead() const { return has_ahead_; } // asynchronous ones without operands, that may begin before their row

private:
  const DeviceProgram& program_;
  const Stage& stage_;
  const TimedBlocks& timed_;
  std::int32_t width_ = 1;
  std::vector<Row> rows_;
  bool has_asynchronous_ = false, has_ahead_ = false;
};

} // namespace podsim
