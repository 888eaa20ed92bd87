#include "tests/support/evaluator.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <stdexcept>
#include <tuple>

namespace podsim::test {
namespace {

// The rings or lines that a collective goes over, in the order of its mesh axes; between pods goes what the rest has
// left.
std::vector<AxisFactor> routes(AxisMask axes, const Machine& machine, const Placement& placement)
{
  std::vector<AxisFactor> all;
  for (const bool dcn : {false, true})
    for (std::size_t i = 0; i < placement.size(); ++i)
      for (const AxisFactor& factor : placement[i])
        if ((axes >> i & 1U) != 0 && factor.length > 1 && (factor.axis == machine.dcn_axis()) == dcn)
          all.push_back(factor);
  return all;
}

bool on_torus(const AxisFactor& route, const Machine& machine)
{
  return machine.lattice.axes[route.axis].kind == AxisKind::ici;
}

std::int64_t devices_of_a_host(const Machine& machine)
{
  std::int64_t sharing = 0;
  for (std::int64_t device = 0; device < machine.devices(); ++device)
    sharing += machine.host_of(device) == machine.host_of(0) ? 1 : 0;
  return sharing;
}

// How long a chunk is on its way to the next device, latency apart, where all devices of a host send at once.
Ticks on_the_wire(Bytes chunk, const AxisFactor& route, const Machine& machine)
{
  if (route.axis != machine.dcn_axis())
    return to_ticks(chunk / machine.wire(route.axis).effective());
  return std::max(devices_of_a_host(machine) * to_ticks(chunk / machine.host.nic_bandwidth),
                  to_ticks(chunk / machine.host.pcie_bandwidth));
}

Ticks latency(const AxisFactor& route, const Machine& machine)
{
  return to_ticks(route.axis == machine.dcn_axis() ? machine.dcn_latency : machine.wire(route.axis).latency);
}

// How long a place on a route is under way with a ring of chunks.
struct RingTime {
  Ticks latencies, transmission;
  Ticks total() const { return latencies + transmission; }
};

// Of each place; all places alike but on an open line.
std::vector<RingTime> ring_times(const AxisFactor& route, bool gathers, Bytes chunk, const Machine& machine)
{
  const std::int64_t n = route.length;
  const Ticks hop      = latency(route, machine);
  const Ticks step     = on_the_wire(chunk, route, machine);
  if (!on_torus(route, machine)) // behind a switch all goes one way round
    return {{(n - 1) * hop, (n - 1) * step}};
  if (!route.closed) {
    // Sums start at both ends and reach the other end together, n-1 steps later. What is gathered comes to a
    // chip from `behind` others on one side, and then it still passes the last of it on if there is somebody to.
    std::vector<RingTime> places(static_cast<std::size_t>(n), {(n - 1) * hop, (n - 1) * step});
    for (std::int64_t at = 0; gathers && at < n; ++at) {
      const std::int64_t steps             = std::min(std::max(at, n - 1 - at) + 1, n - 1);
      places[static_cast<std::size_t>(at)] = {steps * hop, steps * step};
    }
    return places;
  }
  // (n-1)/2 chunks each way, of which an even n halves the last; a stride repeats each of them on every link.
  Ticks once = n / 2 * step;
  if (n % 2 == 0)
    once += on_the_wire(0.5 * chunk, route, machine) - step;
  return {{route.stride * (n / 2) * hop, route.stride * once}};
}

// Over the DCN, where a piece of a chunk goes on as soon as it has come in: in how many steps, and what one takes.
struct Stream {
  std::int64_t steps = 0; // 0: no stream
  Ticks hop = 0, alone = 0, crowded = 0;

  // The first piece is on its way for a hop; then the NIC is busy without a pause, unless each step waits for a hop.
  RingTime time() const { return {std::max(hop, steps * hop + alone - steps * crowded), steps * crowded}; }
};

// A barrier, and how long the devices that meet there are under way from then on.
struct Leg {
  std::vector<std::int64_t> group; // of each device: the first device of those that meet
  std::int64_t group_size = 1;
  std::vector<RingTime> times; // of each device
  std::uint32_t links = 0;     // used in a way that another user would feel, see `link`
  bool in_its_own_way = false; // a whole collective, parts of which share links
  Stream stream{};
};

// A bit for each lattice axis and direction. What devices send over the DCN, a host sends.
std::uint32_t link(std::size_t axis, int direction)
{
  return 1U << (2 * axis + (direction > 0 ? 0 : 1));
}
std::uint32_t both_ways(std::size_t axis)
{
  return link(axis, 1) | link(axis, -1);
}

class Courses { // of collectives
public:
  Courses(const Machine& machine, const Placement& placement, MultiAxis multi_axis, Granularity granularity)
      : machine_(machine), placement_(placement), multi_axis_(multi_axis), granularity_(granularity)
  {
  }

  // Parts that run at once, each the legs that it takes in turn.
  std::vector<std::vector<Leg>> of(const Collective& collective) const
  {
    const std::vector<AxisFactor> all = routes(collective.axes, machine_, placement_);
    const bool split =
        multi_axis_ == MultiAxis::concurrent &&
        std::all_of(all.begin(), all.end(), [&](const auto& route) { return on_torus(route, machine_); });
    const std::size_t parts = split ? all.size() : 1;
    std::vector<std::vector<Leg>> courses(parts);
    std::vector<std::size_t> gathers_from(parts); // which leg is the first that gathers
    for (std::size_t part = 0; part < parts; ++part) {
      std::vector<AxisFactor> order = all; // each part begins on another axis
      std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(part), order.end());
      const Bytes size = collective.full / static_cast<double>(parts);
      if (collective.kind != CollectiveKind::all_gather)
        add(courses[part], order, false, size);
      gathers_from[part] = courses[part].size();
      if (collective.kind != CollectiveKind::reduce_scatter)
        add(courses[part], order, true, size);
    }
    if (multi_axis_ == MultiAxis::pipelined && all.size() > 1)
      return overlapped_event(courses.front(), gathers_from.front(), all);
    for (std::vector<Leg>& course : courses)
      let_stream(course);
    if (granularity_ == Granularity::chunk)
      return courses;
    Ticks longest = 1; // nothing takes no time
    for (const std::vector<Leg>& course : courses) {
      Ticks sum = 0;
      for (const Leg& leg : course)
        sum += slowest(leg).total();
      longest = std::max(longest, sum);
    }
    std::vector<std::vector<Leg>> event = one_event(longest, all);
    // Parts that begin on rings of unequal length do not go on to the next in step.
    event.front().front().in_its_own_way = parts > 1 && std::any_of(all.begin(), all.end(), [&](const auto& route) {
                                             return route.length != all.front().length ||
                                                    route.stride != all.front().stride ||
                                                    route.closed != all.front().closed;
                                           });
    return event;
  }

private:
  static RingTime slowest(const Leg& leg)
  {
    return *std::max_element(leg.times.begin(), leg.times.end(),
                             [](const RingTime& a, const RingTime& b) { return a.total() < b.total(); });
  }

  // All axes at once, the chunks of one following those of the other: all that scatters, then all that gathers.
  static Ticks overlapped(const std::vector<Leg>& course, std::size_t gathers_from)
  {
    std::array<std::map<std::uint32_t, Ticks>, 2> transmission; // by links, which several legs may use
    std::array<Ticks, 2> most{};
    Ticks latencies = 0;
    for (std::size_t i = 0; i < course.size(); ++i) {
      const RingTime own    = slowest(course[i]);
      const std::size_t way = i < gathers_from ? 0 : 1;
      most.at(way)          = std::max(most.at(way), transmission.at(way)[course[i].links] += own.transmission);
      latencies += own.latencies;
    }
    return latencies + most[0] + most[1];
  }

  // What is gathered over the DCN right after it was scattered follows it without a pause.
  static void let_stream(std::vector<Leg>& course)
  {
    for (std::size_t i = 0; i < course.size(); ++i) {
      Leg& leg = course[i];
      if (leg.stream.steps == 0)
        continue;
      if (i + 1 < course.size() && course[i + 1].stream.steps > 0 && course[i + 1].group == leg.group) {
        leg.stream.steps += course[i + 1].stream.steps;
        course.erase(course.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
      leg.times.assign(leg.times.size(), leg.stream.time());
    }
  }

  // A reduce-scatter leaves less and less to the axes after the first; a gather takes the same way back.
  void add(std::vector<Leg>& course, std::vector<AxisFactor> order, bool gathers, Bytes size) const
  {
    if (gathers)
      std::reverse(order.begin(), order.end());
    std::int64_t nodes = 1;
    for (const AxisFactor& factor : order)
      nodes *= factor.axis == machine_.dcn_axis() ? factor.length : 1;
    for (std::size_t i = 0; i < order.size(); ++i) {
      double pieces = static_cast<double>(order[i].length);
      for (std::size_t j = 0; j < order.size(); ++j) // that have scattered before, or will gather after
        if (gathers ? j > i : j < i)
          pieces *= static_cast<double>(order[j].length);
      std::vector<RingTime> places = ring_times(order[i], gathers, size / pieces, machine_);
      if (multi_axis_ == MultiAxis::pipelined && order[i].axis != machine_.dcn_axis())
        for (RingTime& place : places) // the ring goes through the devices of every node
          place.latencies *= nodes;
      Leg leg   = barrier({order[i]});
      leg.links = both_ways(order[i].axis);
      if (order[i].axis == machine_.dcn_axis())
        leg.stream = {order[i].length - 1, latency(order[i], machine_),
                      to_ticks(size / pieces / machine_.host.nic_bandwidth),
                      on_the_wire(size / pieces, order[i], machine_)};
      for (std::int64_t device = 0; device < machine_.devices(); ++device) {
        const std::int64_t at = places.size() == 1 ? 0 : place(order[i], device);
        leg.times.push_back(places[static_cast<std::size_t>(at)]);
      }
      course.push_back(std::move(leg));
    }
  }

  // Chunks on all axes at once: by chunks, others feel it.
  std::vector<std::vector<Leg>> overlapped_event(const std::vector<Leg>& course, std::size_t gathers_from,
                                                 const std::vector<AxisFactor>& all) const
  {
    std::vector<std::vector<Leg>> event = one_event(overlapped(course, gathers_from), all);
    if (granularity_ == Granularity::chunk)
      for (const Leg& leg : course)
        event.front().front().links |= leg.links;
    return event;
  }

  // The whole collective as one leg.
  std::vector<std::vector<Leg>> one_event(Ticks time, const std::vector<AxisFactor>& all) const
  {
    Leg leg = barrier(all);
    leg.times.assign(static_cast<std::size_t>(machine_.devices()), {0, time});
    return {{leg}};
  }

  std::int64_t place(const AxisFactor& factor, std::int64_t device) const
  {
    return machine_.lattice.coordinate(device, factor.axis) / factor.stride % factor.length;
  }

  // Devices meet that differ only in their place on these routes: move all of them to the first place. On a torus
  // those between meet with them.
  Leg barrier(const std::vector<AxisFactor>& all) const
  {
    Leg leg;
    for (std::int64_t device = 0; device < machine_.devices(); ++device) {
      std::int64_t first = device;
      for (const AxisFactor& route : all) {
        const std::int64_t at     = machine_.lattice.coordinate(device, route.axis);
        const std::int64_t extent = route.length * route.stride;
        const std::int64_t base =
            on_torus(route, machine_) ? at / extent * extent : at - place(route, device) * route.stride;
        first = machine_.lattice.moved(first, route.axis, base);
      }
      leg.group.push_back(first);
    }
    leg.group_size = std::count(leg.group.begin(), leg.group.end(), leg.group.front());
    return leg;
  }

  const Machine& machine_;
  const Placement& placement_;
  MultiAxis multi_axis_;
  Granularity granularity_;
};

// One operation of one iteration, the same on all devices of a stage.
struct Execution {
  const DeviceOperation* operation;
  const std::vector<std::vector<Leg>>* courses; // of a collective
  Ticks time;                                   // of a compute operation, or of a transfer without latency
  std::vector<std::size_t> followers{};         // executions that wait for this one
  int waits_for    = 0;                         // how many this one waits for, on this device or another
  std::size_t peer = 0;                         // of a send: the receive of the stage it goes to
};

struct StageLayout {
  std::vector<Execution> executions;
  std::vector<std::pair<std::size_t, const DeviceBlock*>> iterations; // of all steps: first execution
};

class Evaluator {
public:
  Evaluator(const ShardedProgram& program, const Machine& machine, const Placement& placement, const Courses& courses)
      : program_(program), machine_(machine), stages_(program.stages.size())
  {
    for (std::int64_t device = 0; device < machine.devices(); ++device)
      timeline_.stages.push_back(0);
    if (program.pipeline)
      find_neighbours(placement[*program.pipeline]);
    for (std::size_t stage = 0; stage < stages_.size(); ++stage) {
      lay_out(stage, courses);
      order(stages_[stage]);
    }
    match_messages();
    std::size_t most = 0;
    for (const StageLayout& stage : stages_)
      most = std::max(most, stage.executions.size());
    arrived_.resize(most);
    for (const std::size_t stage : timeline_.stages) {
      timeline_.ends.emplace_back(stages_[stage].executions.size(), -1);
      std::vector<int>& missing = missing_.emplace_back();
      for (const Execution& execution : stages_[stage].executions)
        missing.push_back(execution.waits_for);
    }
    busy_until_.resize(static_cast<std::size_t>(machine.devices()));
  }

  Timeline run()
  {
    for (std::int64_t device = 0; device < machine_.devices(); ++device) {
      const std::vector<Execution>& own = layout(device).executions;
      for (std::size_t e = 0; e < own.size(); ++e)
        if (own[e].waits_for == 0)
          begin(device, e);
    }
    while (!heap_.empty()) {
      const Event event = heap_.top();
      heap_.pop();
      now_ = event.at;
      on(event);
    }
    for (const std::vector<Ticks>& ends : timeline_.ends)
      if (std::find(ends.begin(), ends.end(), -1) != ends.end())
        throw std::logic_error("an operation was never executed");
    timeline_.end = now_;
    return std::move(timeline_);
  }

private:
  struct Event {
    Ticks at;
    std::size_t execution;
    std::int64_t device;
    std::size_t part, leg; // of a collective: the one that ends
    bool transfer;         // of a send: its data have come, else the device may go on
    friend bool operator>(const Event& a, const Event& b)
    {
      return std::tie(a.at, a.execution, a.device, a.part, a.leg, a.transfer) >
             std::tie(b.at, b.execution, b.device, b.part, b.leg, b.transfer);
    }
  };
  using Meeting = std::tuple<std::size_t, std::size_t, std::int64_t>; // part, leg, group or host

  const StageLayout& layout(std::int64_t device) const
  {
    return stages_[timeline_.stages[static_cast<std::size_t>(device)]];
  }

  // The stage of each device, and whom it sends to: those at the same place in the next and the previous stage.
  void find_neighbours(const AxisPlacement& placement)
  {
    for (const AxisFactor& factor : placement)
      if (factor.length > 1)
        along_ = factor;
    for (std::int64_t device = 0; device < machine_.devices(); ++device) {
      const std::int64_t at                              = machine_.lattice.coordinate(device, along_.axis);
      const std::int64_t stage                           = at / along_.stride % along_.length;
      timeline_.stages[static_cast<std::size_t>(device)] = static_cast<std::size_t>(stage);
      const auto moved_to                                = [&](std::int64_t to) {
        return machine_.lattice.moved(device, along_.axis, at + (to - stage) * along_.stride);
      };
      down_.push_back(moved_to((stage + 1) % along_.length));
      up_.push_back(moved_to((stage + along_.length - 1) % along_.length));
    }
  }

  void lay_out(std::size_t stage, const Courses& courses)
  {
    const std::vector<DeviceBlock>& blocks = program_.program_of(stage).blocks;
    StageLayout& own                       = stages_[stage];
    std::vector<std::vector<const std::vector<std::vector<Leg>>*>> ways;
    for (const DeviceBlock& block : blocks) {
      ways.emplace_back();
      for (const DeviceOperation& operation : block.operations) {
        const bool moves = operation.kind == DeviceOperation::Kind::collective;
        courses_.push_back(moves ? courses.of(operation.collective) : std::vector<std::vector<Leg>>{});
        ways.back().push_back(&courses_.back());
      }
    }
    timeline_.first.emplace_back();
    for (const Step& step : program_.stages[stage].steps) {
      const DeviceBlock& block = blocks[static_cast<std::size_t>(step.block)];
      timeline_.first.back().emplace_back();
      for (std::int32_t iteration = 0; iteration < step.count; ++iteration) {
        timeline_.first.back().back().push_back(own.executions.size());
        own.iterations.emplace_back(own.executions.size(), &block);
        for (std::size_t i = 0; i < block.operations.size(); ++i) {
          const DeviceOperation& operation = block.operations[i];
          note_message(stage, step, operation, own.executions.size());
          own.executions.push_back({&operation, ways[static_cast<std::size_t>(step.block)][i], time_of(operation)});
        }
      }
    }
  }

  Ticks time_of(const DeviceOperation& operation) const
  {
    if (operation.kind == DeviceOperation::Kind::compute) {
      const Seconds time = operation_time(operation.work, machine_.chip).total();
      return time > Seconds(0) ? to_ticks(time) : 0;
    }
    return operation.kind == DeviceOperation::Kind::send ? on_the_wire(operation.transfer, along_, machine_) : 0;
  }

  // A message is named by the virtual stage that receives it, its direction and its micro-batch.
  void note_message(std::size_t stage, const Step& step, const DeviceOperation& operation, std::size_t execution)
  {
    const bool sends = operation.kind == DeviceOperation::Kind::send;
    if (!sends && operation.kind != DeviceOperation::Kind::receive)
      return;
    const std::int64_t own = step.chunk * static_cast<std::int64_t>(stages_.size()) + static_cast<std::int64_t>(stage);
    Message& message       = messages_[{own + (sends ? operation.towards : 0), operation.towards, step.micro_batch}];
    (sends ? message.sent : message.received).push_back({stage, execution});
  }

  void match_messages()
  {
    for (const auto& [name, message] : messages_) {
      if (message.sent.size() != 1 || message.received.size() != 1)
        throw std::logic_error("a message that is not sent and received once");
      const auto& [from, send]  = message.sent.front();
      const auto& [to, receive] = message.received.front();
      const int towards         = stages_[from].executions[send].operation->towards;
      if ((from + stages_.size() + static_cast<std::size_t>(towards)) % stages_.size() != to)
        throw std::logic_error("a message to a stage that is not the neighbour");
      stages_[from].executions[send].peer = receive;
      ++stages_[to].executions[receive].waits_for;
    }
  }

  static void follows(StageLayout& stage, std::size_t after, std::size_t before)
  {
    stage.executions[before].followers.push_back(after);
    ++stage.executions[after].waits_for;
  }

  // The edges that the header lists.
  void order(StageLayout& stage)
  {
    // Where in the program an asynchronous collective enters its queue: before this execution is reached.
    // Those without operands enter first where an iteration begins.
    using Entry = std::tuple<std::size_t, bool, std::size_t>; // place, has operands, execution
    std::map<AxisMask, std::vector<Entry>> queues;
    const std::vector<Execution>& executions = stage.executions;
    const auto ahead                         = static_cast<std::size_t>(program_.prefetch_iterations);
    std::vector<std::ptrdiff_t> stream(executions.size() + 1, -1); // the last stream operation before each place
    for (std::size_t e = 0; e < executions.size(); ++e)
      stream[e + 1] = executions[e].operation->asynchronous ? stream[e] : static_cast<std::ptrdiff_t>(e);
    for (std::size_t i = 0; i < stage.iterations.size(); ++i) {
      const auto& [first, block] = stage.iterations[i];
      for (std::size_t e = first; e < first + block->operations.size(); ++e) {
        const DeviceOperation& operation = *executions[e].operation;
        const bool early                 = operation.asynchronous && operation.needs.empty();
        const std::size_t place          = early ? stage.iterations[i < ahead ? 0 : i - ahead].first : e;
        if (stream[place] >= 0)
          follows(stage, e, static_cast<std::size_t>(stream[place]));
        for (const int need : operation.needs)
          if (block->operations[static_cast<std::size_t>(need)].asynchronous)
            follows(stage, e, first + static_cast<std::size_t>(need));
        if (operation.asynchronous)
          queues[operation.collective.axes].emplace_back(place, !early, e);
      }
    }
    for (auto& [axes, entries] : queues) {
      std::sort(entries.begin(), entries.end());
      for (std::size_t i = 1; i < entries.size(); ++i)
        follows(stage, std::get<2>(entries[i]), std::get<2>(entries[i - 1]));
      for (const auto& [first, block] : stage.iterations)
        for (const auto& [place, operands, e] : entries)
          if (block->waits_for_asynchronous && (operands ? place < first : place <= first))
            follows(stage, first, e);
    }
  }

  void begin(std::int64_t device, std::size_t e)
  {
    const Execution& execution = layout(device).executions[e];
    switch (execution.operation->kind) {
    case DeviceOperation::Kind::compute:
    case DeviceOperation::Kind::receive:
      heap_.push({now_ + execution.time, e, device, 0, 0, false});
      return;
    case DeviceOperation::Kind::send:
      send(device, e);
      return;
    case DeviceOperation::Kind::collective:
      parts_left_[{device, e}] = execution.courses->size();
      for (std::size_t part = 0; part < execution.courses->size(); ++part)
        arrive(device, e, part, 0);
    }
  }

  void send(std::int64_t device, std::size_t e)
  {
    const Execution& execution = layout(device).executions[e];
    const int towards          = execution.operation->towards;
    const Ticks end            = now_ + latency(along_, machine_) + execution.time;
    const std::int64_t to      = (towards > 0 ? down_ : up_)[static_cast<std::size_t>(device)];
    const bool dcn             = along_.axis == machine_.dcn_axis();
    note_links(device, e, {0, 0, machine_.host_of(device)}, dcn ? link(along_.axis, 1) : link(along_.axis, towards),
               end);
    if (dcn) // a NIC takes in what one other host sends
      note_links(to, e, {1, 0, machine_.host_of(to)}, link(along_.axis, -1), end);
    if (!program_.blocking_transfers)
      heap_.push({now_, e, device, 0, 0, false});
    heap_.push({end, e, device, 0, 0, true});
  }

  void arrive(std::int64_t device, std::size_t e, std::size_t part, std::size_t leg)
  {
    const Leg& own                   = (*layout(device).executions[e].courses)[part][leg];
    const std::int64_t group         = own.group[static_cast<std::size_t>(device)];
    std::vector<std::int64_t>& there = arrived_[e][{part, leg, group}];
    there.push_back(device);
    timeline_.contended = timeline_.contended || own.in_its_own_way;
    if (static_cast<std::int64_t>(there.size()) < own.group_size)
      return;
    for (const std::int64_t member : there) {
      if (layout(member).executions[e].courses != layout(device).executions[e].courses)
        throw std::logic_error("devices of several stages meet in a collective");
      const Ticks end = now_ + own.times[static_cast<std::size_t>(member)].total();
      note_links(member, e, {part, leg, machine_.host_of(member)}, own.links, end);
      heap_.push({end, e, member, part, leg, false});
    }
    there.clear();
  }

  // The closed forms want each link for one collective or transfer at a time, and a host's devices to come to its NIC
  // together, all of them.
  void note_links(std::int64_t device, std::size_t e, const Meeting& at_host, std::uint32_t links, Ticks end)
  {
    for (std::size_t bit = 0; bit < 32; ++bit) {
      if ((links >> bit & 1U) == 0)
        continue;
      Ticks& until        = busy_until_[static_cast<std::size_t>(device)][bit];
      timeline_.contended = timeline_.contended || until > now_;
      until               = std::max(until, end);
    }
    if ((links & both_ways(machine_.dcn_axis())) != 0) {
      const auto [at, fresh] = nic_starts_.try_emplace({e, at_host}, now_);
      timeline_.contended    = timeline_.contended || at->second != now_ || !of_one_stage(std::get<2>(at_host));
    }
  }

  bool of_one_stage(std::int64_t host)
  {
    if (stages_.size() == 1)
      return true;
    if (stages_at_.empty())
      for (std::int64_t device = 0; device < machine_.devices(); ++device)
        stages_at_[machine_.host_of(device)].insert(timeline_.stages[static_cast<std::size_t>(device)]);
    return stages_at_[host].size() == 1;
  }

  void on(const Event& event)
  {
    const Execution& execution = layout(event.device).executions[event.execution];
    if (execution.operation->kind == DeviceOperation::Kind::collective) {
      if (event.leg + 1 < (*execution.courses)[event.part].size()) {
        arrive(event.device, event.execution, event.part, event.leg + 1);
        return;
      }
      if (--parts_left_[{event.device, event.execution}] > 0)
        return;
    }
    const auto device = static_cast<std::size_t>(event.device);
    if (event.transfer) {
      done(execution.operation->towards > 0 ? down_[device] : up_[device], execution.peer);
      if (!program_.blocking_transfers)
        return;
    }
    timeline_.ends[device][event.execution] = now_;
    for (const std::size_t follower : execution.followers)
      done(event.device, follower);
  }

  // One thing less to wait for.
  void done(std::int64_t device, std::size_t e)
  {
    if (--missing_[static_cast<std::size_t>(device)][e] == 0)
      begin(device, e);
  }

  struct Message {
    std::vector<std::pair<std::size_t, std::size_t>> sent, received; // stage, execution
  };

  const ShardedProgram& program_;
  const Machine& machine_;
  AxisFactor along_{}; // the stages
  std::vector<std::int64_t> down_, up_;
  std::map<std::tuple<std::int64_t, int, std::int32_t>, Message> messages_;
  std::deque<std::vector<std::vector<Leg>>> courses_; // stable addresses
  std::vector<StageLayout> stages_;
  std::vector<std::vector<int>> missing_; // what each device's executions still wait for
  std::priority_queue<Event, std::vector<Event>, std::greater<>> heap_;
  std::vector<std::map<Meeting, std::vector<std::int64_t>>> arrived_; // of each execution
  std::map<std::pair<std::int64_t, std::size_t>, std::size_t> parts_left_;
  std::vector<std::array<Ticks, 32>> busy_until_; // of each device and kind of link
  std::map<std::pair<std::size_t, Meeting>, Ticks> nic_starts_;
  std::map<std::int64_t, std::set<std::size_t>> stages_at_; // a host
  Ticks now_ = 0;
  Timeline timeline_;
};

} // namespace

Ticks Timeline::end_of(std::int64_t device, int step, int iteration, int operation) const
{
  const std::size_t stage = stages.at(static_cast<std::size_t>(device));
  const std::size_t start = first.at(stage).at(static_cast<std::size_t>(step)).at(static_cast<std::size_t>(iteration));
  return ends.at(static_cast<std::size_t>(device)).at(start + static_cast<std::size_t>(operation));
}

Timeline evaluate(const ShardedProgram& program, const Machine& machine, const Placement& placement,
                  MultiAxis multi_axis, Granularity granularity)
{
  if (granularity == Granularity::automatic)
    throw std::invalid_argument("the evaluator wants to know whether collectives go by chunks");
  return Evaluator(program, machine, placement, Courses(machine, placement, multi_axis, granularity)).run();
}

} // namespace podsim::test
