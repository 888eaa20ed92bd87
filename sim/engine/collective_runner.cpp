#include "sim/engine/collective_runner.hpp"

#include <algorithm>

namespace podsim {

CollectiveRunner::CollectiveRunner(SimgridEngine& engine, const std::vector<Processor>& processors,
                                   const Machine& machine, const Placement& placement, const DeviceClasses& partition,
                                   Network& network)
    : engine_(engine), processors_(processors), machine_(machine), placement_(placement), partition_(partition),
      network_(network), active_(partition.classes.size())
{
}

void CollectiveRunner::listen(Listener started, Listener ended)
{
  started_ = std::move(started);
  ended_   = std::move(ended);
}

void CollectiveRunner::arrive(int device_class, std::int32_t slot, const TimedOperation& operation, AxisMask axes)
{
  if (operation.chunked) {
    const std::size_t parts = operation.plan.parts.size();
    active_[static_cast<std::size_t>(device_class)].push_back(
        {device_class, slot, &operation, std::vector<Part>(parts), parts});
    for (std::size_t part = 0; part < parts; ++part)
      arrive_at_phase(device_class, slot, part);
    return;
  }
  const Groups& all = whole_groups(axes);
  const int group   = all.group_of[static_cast<std::size_t>(device_class)];
  if (!last_to_arrive(0, all, group, slot))
    return;
  const std::vector<int>& classes = all.classes[static_cast<std::size_t>(group)];
  for (const int member : classes)
    started_(member, slot);
  engine_.compute(processors_[static_cast<std::size_t>(classes.front())], operation.duration,
                  {event_token, classes.front(), slot, static_cast<std::int32_t>(axes), 0});
}

bool CollectiveRunner::is_alone(int device_class, AxisMask axes)
{
  const Groups& all = whole_groups(axes);
  return all.classes[static_cast<std::size_t>(all.group_of[static_cast<std::size_t>(device_class)])].size() == 1;
}

void CollectiveRunner::on_end(const Token& token)
{
  if (token.kind == event_token) {
    const Groups& all = whole_groups(static_cast<AxisMask>(token.part));
    const int group   = all.group_of[static_cast<std::size_t>(token.device_class)];
    for (const int member : all.classes[static_cast<std::size_t>(group)])
      ended_(member, token.slot);
    return;
  }
  const auto part      = static_cast<std::size_t>(token.part);
  const auto direction = static_cast<std::size_t>(token.direction);
  Active& sender       = active(token.device_class, token.slot);
  if (--sender.parts[part].in_flight[direction] > 0)
    return;
  ++sender.parts[part].sent[direction];
  const std::vector<int>& receivers =
      network_.receivers(phase(sender, part).factor, token.device_class, token.direction);
  for (const int receiver : receivers)
    ++active(receiver, token.slot).parts[part].received[direction];
  send_next(sender, part, token.direction);
  for (const int receiver : receivers)
    send_next(active(receiver, token.slot), part, token.direction);
  // Nothing ends before all have been told: an end may let the device go on to anything.
  finish_phase(token.device_class, token.slot, part);
  for (const int receiver : receivers)
    if (receiver != token.device_class)
      finish_phase(receiver, token.slot, part);
}

const Groups& CollectiveRunner::whole_groups(AxisMask axes)
{
  auto found = whole_groups_.find(axes);
  if (found == whole_groups_.end())
    found = whole_groups_.emplace(axes, groups(span_of(axes, placement_), partition_, machine_)).first;
  return found->second;
}

// `barrier` tells apart the barriers of one slot: 0 for the whole collective, others for phases of its parts.
bool CollectiveRunner::last_to_arrive(std::size_t barrier, const Groups& groups, int group, std::int32_t slot)
{
  const std::size_t members = groups.classes[static_cast<std::size_t>(group)].size();
  if (members == 1)
    return true;
  const std::tuple key{&groups, barrier, group, slot}; // stages at one slot may be in collectives over other axes
  if (++arrived_[key] < members)
    return false;
  arrived_.erase(key);
  return true;
}

CollectiveRunner::Active& CollectiveRunner::active(int device_class, std::int32_t slot)
{
  std::vector<Active>& all = active_[static_cast<std::size_t>(device_class)];
  return *std::find_if(all.begin(), all.end(), [&](const Active& one) { return one.slot == slot; });
}

const RingPhase& CollectiveRunner::phase(const Active& on, std::size_t part)
{
  return on.operation->plan.parts[part][on.parts[part].phase];
}

void CollectiveRunner::arrive_at_phase(int device_class, std::int32_t slot, std::size_t part)
{
  constexpr std::size_t most_phases = 64;
  const Active& own                 = active(device_class, slot);
  const std::size_t index           = own.parts[part].phase;
  const Groups& rings               = network_.rings(phase(own, part).factor);
  const int ring                    = rings.group_of[static_cast<std::size_t>(device_class)];
  if (!last_to_arrive(1 + part * most_phases + index, rings, ring, slot))
    return;
  const std::vector<int>& classes = rings.classes[static_cast<std::size_t>(ring)];
  for (const int member : classes) {
    Active& on             = active(member, slot);
    on.parts[part].running = true;
    if (part == 0 && index == 0)
      started_(member, slot);
    for (int direction = 0; direction < 2; ++direction)
      send_next(on, part, direction);
  }
}

void CollectiveRunner::send_next(Active& on, std::size_t part, int direction)
{
  Part& state             = on.parts[part];
  const RingPhase& ring   = phase(on, part);
  const auto d            = static_cast<std::size_t>(direction);
  const std::int64_t at   = network_.position(ring.factor, on.device_class);
  const int sign          = direction == 0 ? 1 : -1;
  const std::int64_t send = state.sent[d];
  const std::int64_t all  = sends(ring, at, sign);
  if (!state.running || state.started[d] != send || send == all ||
      state.received[d] < receives_before(ring, at, sign, send))
    return;
  ++state.started[d];
  state.in_flight[d] = network_.transfers(ring.factor, on.device_class);
  const bool last    = send >= all - (ring.one_way() ? 1 : ring.factor.stride);
  network_.send(ring.factor, on.device_class, direction, last ? ring.last_step : ring.step,
                {chunk_token, on.device_class, on.slot, static_cast<std::int32_t>(part), direction});
}

// Goes on to the next phase once all of this one has been sent and received.
void CollectiveRunner::finish_phase(int device_class, std::int32_t slot, std::size_t part)
{
  Active& on            = active(device_class, slot);
  Part& state           = on.parts[part];
  const RingPhase& ring = phase(on, part);
  const std::int64_t at = network_.position(ring.factor, device_class);
  for (std::size_t d = 0; d < 2; ++d) {
    const int sign = d == 0 ? 1 : -1;
    if (state.sent[d] < sends(ring, at, sign) || state.received[d] < receives(ring, at, sign))
      return;
  }
  state = Part{.phase = state.phase + 1};
  if (state.phase < on.operation->plan.parts[part].size()) {
    arrive_at_phase(device_class, slot, part);
    return;
  }
  if (--on.parts_left > 0)
    return;
  std::vector<Active>& all = active_[static_cast<std::size_t>(device_class)];
  std::erase_if(all, [&](const Active& one) { return one.slot == slot; });
  ended_(device_class, slot);
}

} // namespace podsim
