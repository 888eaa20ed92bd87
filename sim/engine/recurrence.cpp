#include "sim/engine/recurrence.hpp"

#include "sim/core/random.hpp"

#include <bit>
#include <cmath>

namespace podsim {
namespace {

bool whole(double ticks)
{
  return ticks == std::floor(ticks);
}

} // namespace

void History::note(const Token& token, std::int32_t place, double started, double now)
{
  on_grid_           = on_grid_ && whole(now);
  std::uint64_t hash = 0;
  for (const std::int64_t number : {std::int64_t{token.kind}, std::int64_t{token.device_class},
                                    std::int64_t{token.part}, std::int64_t{token.direction}, std::int64_t{place}})
    hash = mixed(hash, static_cast<std::uint64_t>(number));
  for (const double time : {now - since_, now - started})
    hash = mixed(hash, std::bit_cast<std::uint64_t>(time));
  events_ += hash; // what happens at one instant has no order
}

std::optional<Boundary> History::add(Boundary boundary)
{
  boundary.events  = events_;
  boundary.on_grid = on_grid_;
  boundary.whole   = boundary.whole && whole(boundary.time);
  events_          = 0;
  on_grid_         = true;
  since_           = boundary.time;
  boundaries_.push_back(std::move(boundary));
  const std::size_t now = boundaries_.size() - 1;
  for (std::size_t period = 1; period <= std::min(longest_period, now); ++period)
    if (recurs(now, now - period))
      return boundaries_[now - period];
  if (boundaries_.size() > 2 * longest_period)
    boundaries_.pop_front();
  return {};
}

void History::clear()
{
  boundaries_.clear();
}

bool History::recurs(std::size_t now, std::size_t then) const
{
  if (!boundaries_[then].whole)
    return false;
  for (std::size_t i = then + 1; i <= now; ++i)
    if (!boundaries_[i].on_grid || !boundaries_[i].whole)
      return false;
  if (boundaries_[now].state != boundaries_[then].state)
    return false;
  for (std::size_t back = 0;; ++back) { // what may have shaped the activities that are under way
    if (boundaries_[now - back].time <= boundaries_[now].oldest)
      return true;
    if (back >= then) // nothing is known of before
      return false;
    if (boundaries_[now - back].events != boundaries_[then - back].events)
      return false;
  }
}

RowPeriod row_period(const Slots& slots, std::int32_t first, std::int32_t shift, std::int32_t micro_batches)
{
  RowPeriod period{first, 0, 0};
  if (first + shift >= slots.rows())
    return period;
  period.steps      = slots.label(first + shift).step - slots.label(first).step;
  period.iterations = slots.label(first + shift).iteration - slots.label(first).iteration;
  const auto same   = [&](std::int32_t row) {
    const Slots::Row& own   = slots.label(row);
    const Slots::Row& later = slots.label(row + shift);
    const Step& a           = slots.step_of(row);
    const Step& b           = slots.step_of(row + shift);
    return later.step - own.step == period.steps && later.iteration - own.iteration == period.iterations &&
           (period.steps == 0 || period.iterations == 0) && a.block == b.block && a.count == b.count &&
           a.chunk == b.chunk && b.micro_batch - a.micro_batch == micro_batches;
  };
  while (period.end + shift < slots.rows() && same(period.end))
    ++period.end;
  return period;
}

} // namespace podsim
