#include "sim/engine/collective_runner.hpp"

#include <algorithm>

namespace podsim {

CollectiveRunner::CollectiveRunner(Clock& clock, const std::vector<Processor>& processors, const Machine& machine,
                                   const Placement& placement, const DeviceClasses& partition, Network& network)
    : clock_(clock), processors_(processors), machine_(machine), placement_(placement), partition_(partition),
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
  const std::size_t parts = operation.chunked ? operation.plan.parts.size() : 0;
  Active& own             = active_[static_cast<std::size_t>(device_class)].emplace_back(
                  Active{device_class, slot, &operation, axes, std::vector<Part>(parts), parts});
  for (std::size_t part = 0; part < parts; ++part)
    enter_phase(own, part);
  if (!operation.chunked || operation.plan.exchange) {
    if (arrive_at_group(Barrier::At::beginning, device_class, axes, slot))
      begin(device_class, slot);
    return;
  }
  for (std::size_t part = 0; part < parts; ++part)
    arrive_at_phase(device_class, slot, part);
}

// All of a group are there.
void CollectiveRunner::begin(int device_class, std::int32_t slot)
{
  const Active& own               = active(device_class, slot);
  const TimedOperation& operation = *own.operation;
  const std::vector<int>& classes = group_of(device_class, own.axes);
  for (const int member : classes)
    started_(member, slot);
  if (!operation.chunked) {
    clock_.compute(processors_[static_cast<std::size_t>(device_class)], duration(operation, classes),
                   {event_token, device_class, slot, 0, 0});
    return;
  }
  for (const int member : classes)
    for (std::size_t part = 0; part < operation.plan.parts.size(); ++part)
      start(active(member, slot), part);
}

bool CollectiveRunner::is_alone(int device_class, AxisMask axes)
{
  return machine_.overrides.links.empty() && machine_.overrides.hosts.empty() &&
         group_of(device_class, axes).size() == 1;
}

void CollectiveRunner::on_end(const Token& token)
{
  if (token.kind == event_token) {
    finish(group_of(token.device_class, active(token.device_class, token.slot).axes), token.slot);
    return;
  }
  if (token.kind == pace_token) {
    arrive_at_ring_end(token.device_class, token.slot, static_cast<std::size_t>(token.part));
    return;
  }
  if (token.kind == rest_token) {
    end_ring(token.device_class, token.slot, static_cast<std::size_t>(token.part));
    return;
  }
  const auto part      = static_cast<std::size_t>(token.part);
  const auto direction = static_cast<std::size_t>(token.direction);
  Active& sender       = active(token.device_class, token.slot);
  if (--sender.parts[part].in_flight[direction] > 0)
    return;
  ++sender.parts[part].sent[direction];
  const std::vector<int>& receivers = network_.receivers(sender.parts[part].line, token.device_class, token.direction);
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

void CollectiveRunner::describe(State& state, const std::vector<std::int32_t>& first_slot) const
{
  std::vector<std::vector<std::int64_t>> rows;
  for (const std::vector<Active>& all : active_)
    for (const Active& on : all) {
      const std::int32_t from = first_slot[static_cast<std::size_t>(on.device_class)];
      if (from < 0)
        continue;
      rows.push_back({on.device_class, on.slot - from, static_cast<std::int64_t>(on.parts_left)});
      for (const Part& part : on.parts) {
        std::vector<std::int64_t>& row = rows.back();
        row.insert(row.end(), {static_cast<std::int64_t>(part.phase), part.running});
        for (const auto& counts : {part.started, part.sent, part.received, part.in_flight})
          row.insert(row.end(), counts.begin(), counts.end());
      }
    }
  state.add_sorted(rows);
  for (const auto& [barrier, there] : arrived_)
    if (const auto from = common(barrier, first_slot))
      rows.push_back({static_cast<std::int64_t>(barrier.at), barrier.where, static_cast<std::int64_t>(barrier.part),
                      static_cast<std::int64_t>(barrier.phase), barrier.group, barrier.slot - *from,
                      static_cast<std::int64_t>(there)});
  state.add_sorted(rows);
}

void CollectiveRunner::move_on(const std::vector<std::int32_t>& slots)
{
  for (std::vector<Active>& all : active_)
    for (Active& on : all)
      on.slot += std::max(slots[static_cast<std::size_t>(on.device_class)], 0);
  std::map<Barrier, std::size_t> moved;
  for (const auto& [barrier, there] : arrived_) {
    Barrier then = barrier;
    then.slot += common(barrier, slots).value_or(0);
    moved.emplace(then, there);
  }
  arrived_ = std::move(moved);
}

// The slots of the first of the classes that meet; nothing where one of them is left out.
std::optional<std::int32_t> CollectiveRunner::common(const Barrier& barrier,
                                                     const std::vector<std::int32_t>& slots) const
{
  const bool ring      = barrier.at == Barrier::At::ring || barrier.at == Barrier::At::ring_end;
  const Groups& groups = ring ? network_.rings(static_cast<int>(barrier.where)) : whole_groups_.at(barrier.where);
  const std::vector<int>& classes = groups.classes[static_cast<std::size_t>(barrier.group)];
  for (const int c : classes)
    if (slots[static_cast<std::size_t>(c)] < 0)
      return {};
  return slots[static_cast<std::size_t>(classes.front())];
}

const Groups& CollectiveRunner::whole_groups(AxisMask axes)
{
  auto found = whole_groups_.find(axes);
  if (found == whole_groups_.end())
    found = whole_groups_.emplace(axes, groups(span_of(axes, placement_), partition_, machine_)).first;
  return found->second;
}

const std::vector<int>& CollectiveRunner::group_of(int device_class, AxisMask axes)
{
  const Groups& all = whole_groups(axes);
  return all.classes[static_cast<std::size_t>(all.group_of[static_cast<std::size_t>(device_class)])];
}

bool CollectiveRunner::arrive_at(const Barrier& barrier, std::size_t members)
{
  if (members == 1)
    return true;
  const auto there = arrived_.try_emplace(barrier, 0).first;
  if (++there->second < members)
    return false;
  arrived_.erase(there);
  return true;
}

bool CollectiveRunner::arrive_at_group(Barrier::At at, int device_class, AxisMask axes, std::int32_t slot)
{
  const Groups& all = whole_groups(axes);
  const int group   = all.group_of[static_cast<std::size_t>(device_class)];
  return arrive_at({at, axes, 0, 0, group, slot}, all.classes[static_cast<std::size_t>(group)].size());
}

Ticks CollectiveRunner::duration(const TimedOperation& operation, const std::vector<int>& classes) const
{
  if (machine_.overrides.links.empty() && machine_.overrides.hosts.empty())
    return operation.duration;
  return podsim::duration(
      operation.plan, [&](const Phase& phase) { return network_.slowest(network_.line_of(phase.factor()), classes); });
}

CollectiveRunner::Active& CollectiveRunner::active(int device_class, std::int32_t slot)
{
  std::vector<Active>& all = active_[static_cast<std::size_t>(device_class)];
  return *std::find_if(all.begin(), all.end(), [&](const Active& one) { return one.slot == slot; });
}

void CollectiveRunner::enter_phase(Active& on, std::size_t part)
{
  Part& state = on.parts[part];
  state.ring  = on.operation->plan.parts[part][state.phase].get();
  state.line  = network_.line_of(state.ring->factor());
  state.place = network_.place(*state.ring, state.line, on.device_class);
  for (std::size_t d = 0; d < 2; ++d) {
    const int sign      = d == 0 ? 1 : -1;
    state.to_send[d]    = state.ring->sends(state.place, sign);
    state.to_receive[d] = state.ring->receives(state.place, sign);
  }
}

void CollectiveRunner::arrive_at_phase(int device_class, std::int32_t slot, std::size_t part)
{
  const Part& own     = active(device_class, slot).parts[part];
  const Groups& rings = network_.rings(own.line);
  const int ring      = rings.group_of[static_cast<std::size_t>(device_class)];
  if (arrive_at({Barrier::At::ring, static_cast<std::uint32_t>(own.line), part, own.phase, ring, slot},
                rings.classes[static_cast<std::size_t>(ring)].size()))
    begin_phase(device_class, slot, part);
}

// All of a ring are there.
void CollectiveRunner::begin_phase(int device_class, std::int32_t slot, std::size_t part)
{
  const Part& own     = active(device_class, slot).parts[part];
  const bool first    = part == 0 && own.phase == 0;
  const auto& classes = ring_of(own, device_class);
  const Ticks least   = pace(own, classes);
  for (const int member : classes) {
    if (first)
      started_(member, slot);
    start(active(member, slot), part);
  }
  if (least > 0)
    clock_.compute(processors_[static_cast<std::size_t>(device_class)], least,
                   {pace_token, device_class, slot, static_cast<std::int32_t>(part), 0});
}

void CollectiveRunner::start(Active& on, std::size_t part)
{
  on.parts[part].running = true;
  for (int direction = 0; direction < 2; ++direction)
    send_next(on, part, direction);
}

void CollectiveRunner::send_next(Active& on, std::size_t part, int direction)
{
  Part& state             = on.parts[part];
  const auto d            = static_cast<std::size_t>(direction);
  const int sign          = direction == 0 ? 1 : -1;
  const std::int64_t send = state.sent[d];
  if (!state.running || state.started[d] != send || send == state.to_send[d] ||
      state.received[d] < state.ring->receives_before(state.place, sign, send))
    return;
  ++state.started[d];
  state.in_flight[d] = network_.transfers(state.line, on.device_class);
  network_.send(state.line, on.device_class, direction, state.ring->transmission(state.place, sign, send),
                {chunk_token, on.device_class, on.slot, static_cast<std::int32_t>(part), direction});
}

// Ends the phase once all of it has been sent and received.
void CollectiveRunner::finish_phase(int device_class, std::int32_t slot, std::size_t part)
{
  Active& on  = active(device_class, slot);
  Part& state = on.parts[part];
  for (std::size_t d = 0; d < 2; ++d)
    if (state.sent[d] < state.to_send[d] || state.received[d] < state.to_receive[d])
      return;
  if (state.ring->ends_together())
    arrive_at_ring_end(device_class, slot, part);
  else
    next_phase(device_class, slot, part);
}

// A phase that ends together ends for all of its ring, not before its pace lets it, and after its rest: both are waited
// for.
void CollectiveRunner::arrive_at_ring_end(int device_class, std::int32_t slot, std::size_t part)
{
  const Part& own           = active(device_class, slot).parts[part];
  const int ring            = network_.rings(own.line).group_of[static_cast<std::size_t>(device_class)];
  const auto& classes       = ring_of(own, device_class);
  const std::size_t members = classes.size() + (pace(own, classes) > 0 ? 1 : 0);
  if (!arrive_at({Barrier::At::ring_end, static_cast<std::uint32_t>(own.line), part, own.phase, ring, slot}, members))
    return;
  if (const Ticks rest = own.ring->rest(); rest > 0)
    clock_.compute(processors_[static_cast<std::size_t>(device_class)], rest,
                   {rest_token, device_class, slot, static_cast<std::int32_t>(part), 0});
  else
    end_ring(device_class, slot, part);
}

void CollectiveRunner::end_ring(int device_class, std::int32_t slot, std::size_t part)
{
  for (const int one : ring_of(active(device_class, slot).parts[part], device_class))
    next_phase(one, slot, part);
}

// The classes of the ring that a part is on now.
const std::vector<int>& CollectiveRunner::ring_of(const Part& own, int device_class) const
{
  const Groups& rings = network_.rings(own.line);
  return rings.classes[static_cast<std::size_t>(rings.group_of[static_cast<std::size_t>(device_class)])];
}

// On the ring of these classes the least time that it takes.
Ticks CollectiveRunner::pace(const Part& own, const std::vector<int>& classes) const
{
  return own.ring->ends_together() ? own.ring->pace(network_.slowest(own.line, classes)) : 0;
}

void CollectiveRunner::next_phase(int device_class, std::int32_t slot, std::size_t part)
{
  Active& on             = active(device_class, slot);
  Part& state            = on.parts[part];
  const std::size_t next = state.phase + 1;
  state                  = Part{};
  state.phase            = next;
  if (state.phase < on.operation->plan.parts[part].size()) {
    enter_phase(on, part);
    arrive_at_phase(device_class, slot, part);
    return;
  }
  if (--on.parts_left > 0)
    return;
  if (!on.operation->plan.exchange) {
    finish({device_class}, slot);
    return;
  }
  if (!arrive_at_group(Barrier::At::end, device_class, on.axes, slot))
    return;
  if (const Ticks rest = on.operation->plan.rest; rest > 0)
    clock_.compute(processors_[static_cast<std::size_t>(device_class)], rest, {event_token, device_class, slot, 0, 0});
  else
    finish(group_of(device_class, on.axes), slot);
}

void CollectiveRunner::finish(const std::vector<int>& classes, std::int32_t slot)
{
  for (const int member : classes) {
    std::erase_if(active_[static_cast<std::size_t>(member)], [&](const Active& one) { return one.slot == slot; });
    ended_(member, slot);
  }
}

} // namespace podsim
