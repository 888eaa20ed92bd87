#include "tests/evaluator.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <stdexcept>
#include <tuple>

namespace podsim::test {
namespace {

// One ring or line (or the DCN) that a collective goes over.
struct Route {
  bool dcn = false;
  TorusFactor factor{};
  std::int64_t length = 1;
};

std::vector<Route> routes(AxisMask axes, const Machine& machine, const Placement& placement)
{
  std::vector<Route> all;
  for (std::size_t i = 0; i < placement.size(); ++i) {
    if ((axes & (AxisMask{1} << i)) == 0)
      continue;
    for (const TorusFactor& factor : placement[i].factors)
      all.push_back({false, factor, factor.length});
  }
  for (std::size_t i = 0; i < placement.size(); ++i) // between pods goes what the torus has left
    if ((axes & (AxisMask{1} << i)) != 0 && placement[i].on_dcn)
      all.push_back({true, {}, machine.pods});
  std::erase_if(all, [](const Route& route) { return route.length < 2; });
  return all;
}

// How long each place on a route is under way with a ring of chunks; all places alike but on an open line.
std::vector<Ticks> ring_times(const Route& route, bool gathers, Bytes chunk, const Machine& machine)
{
  const std::int64_t n = route.length;
  if (route.dcn) {
    const Ticks alone    = to_ticks(chunk / machine.host.nic_bandwidth);
    std::int64_t sharing = 0; // chips of one host
    for (std::int64_t chip = 0; chip < machine.torus.chips(); ++chip)
      sharing += machine.host_of(chip) == machine.host_of(0) ? 1 : 0;
    const Ticks step = std::max(sharing * alone, to_ticks(chunk / machine.host.pcie_bandwidth));
    return {(n - 1) * (step + to_ticks(machine.dcn_latency))};
  }
  const Ticks hop  = to_ticks(machine.ici.hop_latency);
  const Ticks step = to_ticks(chunk / machine.ici.effective());
  if (!route.factor.closed) {
    // Sums start at both ends and reach the other end together, n-1 steps later. What is gathered comes to a
    // chip from `behind` others on one side, and then it still passes the last of it on if there is somebody to.
    std::vector<Ticks> places(static_cast<std::size_t>(n), (n - 1) * (hop + step));
    for (std::int64_t at = 0; gathers && at < n; ++at) {
      const std::int64_t steps             = std::min(std::max(at, n - 1 - at) + 1, n - 1);
      places[static_cast<std::size_t>(at)] = steps * (hop + step);
    }
    return places;
  }
  // (n-1)/2 chunks each way, of which an even n halves the last; a stride repeats each of them on every link.
  Ticks once = n / 2 * (hop + step);
  if (n % 2 == 0)
    once += to_ticks(0.5 * chunk / machine.ici.effective()) - step;
  return {route.factor.stride * once};
}

// A barrier, and how long the devices that meet there are under way from then on.
struct Leg {
  std::vector<std::int64_t> group; // of each device: the first device of those that meet
  std::int64_t group_size = 1;
  std::vector<Ticks> times; // of each device
  std::uint32_t links = 0;  // a bit for each torus axis used, and `dcn_bit`
};
constexpr std::uint32_t dcn_bit = 1U << 31U;

class Courses { // of collectives
public:
  Courses(const Machine& machine, const Placement& placement, MultiAxis multi_axis, Granularity granularity)
      : machine_(machine), placement_(placement), multi_axis_(multi_axis), granularity_(granularity)
  {
  }

  // Parts that run at once, each the legs that it takes in turn.
  std::vector<std::vector<Leg>> of(const Collective& collective) const
  {
    const std::vector<Route> all = routes(collective.axes, machine_, placement_);
    const bool split             = multi_axis_ == MultiAxis::concurrent &&
                       std::none_of(all.begin(), all.end(), [](const Route& route) { return route.dcn; });
    const std::size_t parts = split ? all.size() : 1;
    std::vector<std::vector<Leg>> courses(parts);
    for (std::size_t part = 0; part < parts; ++part) {
      std::vector<Route> order = all; // each part begins on another axis
      std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(part), order.end());
      const Bytes size = collective.full / static_cast<double>(parts);
      if (collective.kind != CollectiveKind::all_gather)
        add(courses[part], order, false, size);
      if (collective.kind != CollectiveKind::reduce_scatter)
        add(courses[part], order, true, size);
    }
    return granularity_ == Granularity::chunk ? courses : one_event(courses, all);
  }

private:
  // A reduce-scatter leaves less and less to the axes after the first; a gather takes the same way back.
  void add(std::vector<Leg>& course, std::vector<Route> order, bool gathers, Bytes size) const
  {
    if (gathers)
      std::reverse(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i) {
      double pieces = static_cast<double>(order[i].length);
      for (std::size_t j = 0; j < order.size(); ++j) // that have scattered before, or will gather after
        if (gathers ? j > i : j < i)
          pieces *= static_cast<double>(order[j].length);
      const std::vector<Ticks> places = ring_times(order[i], gathers, size / pieces, machine_);
      Leg leg                         = barrier({order[i]});
      for (std::int64_t device = 0; device < machine_.devices(); ++device) {
        const std::int64_t at = places.size() == 1 ? 0 : place(order[i].factor, device);
        leg.times.push_back(places[static_cast<std::size_t>(at)]);
      }
      course.push_back(std::move(leg));
    }
  }

  // The whole collective as one leg, as long as its slowest part.
  std::vector<std::vector<Leg>> one_event(const std::vector<std::vector<Leg>>& courses,
                                          const std::vector<Route>& all) const
  {
    Ticks longest = 1; // nothing takes no time
    for (const std::vector<Leg>& course : courses) {
      Ticks sum = 0;
      for (const Leg& leg : course)
        sum += *std::max_element(leg.times.begin(), leg.times.end());
      longest = std::max(longest, sum);
    }
    Leg leg = barrier(all);
    leg.times.assign(static_cast<std::size_t>(machine_.devices()), longest);
    return {{leg}};
  }

  std::int64_t place(const TorusFactor& factor, std::int64_t device) const
  {
    return machine_.torus.coordinate(machine_.chip_of(device), factor.axis) / factor.stride % factor.length;
  }

  // Devices meet that differ only in their place on these routes: move all of them to the first place.
  Leg barrier(const std::vector<Route>& all) const
  {
    Leg leg;
    for (std::int64_t device = 0; device < machine_.devices(); ++device) {
      std::int64_t pod  = machine_.pod_of(device);
      std::int64_t chip = machine_.chip_of(device);
      for (const Route& route : all) {
        const std::int64_t extent = route.factor.length * route.factor.stride;
        if (route.dcn)
          pod = 0;
        else
          chip = machine_.torus.moved(chip, route.factor.axis,
                                      machine_.torus.coordinate(chip, route.factor.axis) / extent * extent);
      }
      leg.group.push_back(pod * machine_.torus.chips() + chip);
    }
    leg.group_size = std::count(leg.group.begin(), leg.group.end(), leg.group.front());
    for (const Route& route : all)
      leg.links |= route.dcn ? dcn_bit : 1U << route.factor.axis;
    return leg;
  }

  const Machine& machine_;
  const Placement& placement_;
  MultiAxis multi_axis_;
  Granularity granularity_;
};

// One operation of one iteration, the same on all devices.
struct Execution {
  const DeviceOperation* operation;
  const std::vector<std::vector<Leg>>* courses; // of a collective
  Ticks time;                                   // of a compute operation
  std::vector<std::size_t> followers{};         // executions that wait for this one
  int waits_for = 0;                            // how many this one waits for
};

class Evaluator {
public:
  Evaluator(const ShardedProgram& program, const Machine& machine, const Courses& courses)
      : program_(program), machine_(machine)
  {
    lay_out(courses);
    order();
    arrived_.resize(executions_.size());
    timeline_.ends.assign(static_cast<std::size_t>(machine.devices()), std::vector<Ticks>(executions_.size(), -1));
    busy_until_.resize(static_cast<std::size_t>(machine.devices()));
  }

  Timeline run()
  {
    for (std::int64_t device = 0; device < machine_.devices(); ++device) {
      std::vector<int>& missing = missing_.emplace_back();
      for (const Execution& execution : executions_)
        missing.push_back(execution.waits_for);
    }
    for (std::int64_t device = 0; device < machine_.devices(); ++device)
      for (std::size_t e = 0; e < executions_.size(); ++e)
        if (executions_[e].waits_for == 0)
          begin(device, e);
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
    friend bool operator>(const Event& a, const Event& b)
    {
      return std::tie(a.at, a.execution, a.device, a.part, a.leg) >
             std::tie(b.at, b.execution, b.device, b.part, b.leg);
    }
  };
  using Meeting = std::tuple<std::size_t, std::size_t, std::int64_t>; // part, leg, group or host

  void lay_out(const Courses& courses)
  {
    const std::vector<DeviceBlock>& blocks = program_.programs.at(0).blocks;
    for (const DeviceBlock& block : blocks) {
      std::vector<const std::vector<std::vector<Leg>>*> ways;
      for (const DeviceOperation& operation : block.operations) {
        const bool moves = operation.kind == DeviceOperation::Kind::collective;
        courses_.push_back(moves ? courses.of(operation.collective) : std::vector<std::vector<Leg>>{});
        ways.push_back(&courses_.back());
      }
      timeline_.first.emplace_back();
      for (std::int64_t iteration = 0; iteration < block.count; ++iteration) {
        timeline_.first.back().push_back(executions_.size());
        iterations_.push_back({executions_.size(), &block});
        for (std::size_t i = 0; i < block.operations.size(); ++i) {
          Execution execution{&block.operations[i], ways[i], 0};
          if (block.operations[i].kind == DeviceOperation::Kind::compute)
            execution.time = to_ticks(operation_time(block.operations[i].work, machine_.chip).total());
          executions_.push_back(execution);
        }
      }
    }
  }

  void follows(std::size_t after, std::size_t before)
  {
    executions_[before].followers.push_back(after);
    ++executions_[after].waits_for;
  }

  // The edges that the header lists.
  void order()
  {
    // Where in the program an asynchronous collective enters its queue: before this execution is reached.
    // Those without operands enter first where an iteration begins.
    using Entry = std::tuple<std::size_t, bool, std::size_t>; // place, has operands, execution
    std::map<AxisMask, std::vector<Entry>> queues;
    const auto ahead = static_cast<std::size_t>(program_.prefetch_iterations);
    std::vector<std::ptrdiff_t> stream(executions_.size() + 1, -1); // the last stream operation before each place
    for (std::size_t e = 0; e < executions_.size(); ++e)
      stream[e + 1] = executions_[e].operation->asynchronous ? stream[e] : static_cast<std::ptrdiff_t>(e);
    for (std::size_t i = 0; i < iterations_.size(); ++i) {
      const auto& [first, block] = iterations_[i];
      for (std::size_t e = first; e < first + block->operations.size(); ++e) {
        const DeviceOperation& operation = *executions_[e].operation;
        const bool early                 = operation.asynchronous && operation.needs.empty();
        const std::size_t place          = early ? iterations_[i < ahead ? 0 : i - ahead].first : e;
        if (stream[place] >= 0)
          follows(e, static_cast<std::size_t>(stream[place]));
        for (const int need : operation.needs)
          if (block->operations[static_cast<std::size_t>(need)].asynchronous)
            follows(e, first + static_cast<std::size_t>(need));
        if (operation.asynchronous)
          queues[operation.collective.axes].emplace_back(place, !early, e);
      }
    }
    for (auto& [axes, entries] : queues) {
      std::sort(entries.begin(), entries.end());
      for (std::size_t i = 1; i < entries.size(); ++i)
        follows(std::get<2>(entries[i]), std::get<2>(entries[i - 1]));
      for (const auto& [first, block] : iterations_)
        for (const auto& [place, operands, e] : entries)
          if (block->waits_for_asynchronous && (operands ? place < first : place <= first))
            follows(first, e);
    }
  }

  void begin(std::int64_t device, std::size_t e)
  {
    const Execution& execution = executions_[e];
    if (execution.operation->kind == DeviceOperation::Kind::compute) {
      heap_.push({now_ + execution.time, e, device, 0, 0});
      return;
    }
    parts_left_[{device, e}] = execution.courses->size();
    for (std::size_t part = 0; part < execution.courses->size(); ++part)
      arrive(device, e, part, 0);
  }

  void arrive(std::int64_t device, std::size_t e, std::size_t part, std::size_t leg)
  {
    const Leg& own                   = (*executions_[e].courses)[part][leg];
    const std::int64_t group         = own.group[static_cast<std::size_t>(device)];
    std::vector<std::int64_t>& there = arrived_[e][{part, leg, group}];
    there.push_back(device);
    if (static_cast<std::int64_t>(there.size()) < own.group_size)
      return;
    for (const std::int64_t member : there) {
      const Ticks end = now_ + own.times[static_cast<std::size_t>(member)];
      note_links(member, e, {part, leg, machine_.host_of(member)}, own.links, end);
      heap_.push({end, e, member, part, leg});
    }
  }

  // The closed forms want each link for one collective at a time, and a host's chips to come to its NIC together.
  void note_links(std::int64_t device, std::size_t e, const Meeting& at_host, std::uint32_t links, Ticks end)
  {
    for (std::size_t bit = 0; bit < 32; ++bit) {
      if ((links >> bit & 1U) == 0)
        continue;
      Ticks& until        = busy_until_[static_cast<std::size_t>(device)][bit];
      timeline_.contended = timeline_.contended || until > now_;
      until               = std::max(until, end);
    }
    if ((links & dcn_bit) != 0) {
      const auto [at, fresh] = nic_starts_.try_emplace({e, at_host}, now_);
      timeline_.contended    = timeline_.contended || at->second != now_;
    }
  }

  void on(const Event& event)
  {
    const Execution& execution = executions_[event.execution];
    if (execution.operation->kind == DeviceOperation::Kind::collective) {
      if (event.leg + 1 < (*execution.courses)[event.part].size()) {
        arrive(event.device, event.execution, event.part, event.leg + 1);
        return;
      }
      if (--parts_left_[{event.device, event.execution}] > 0)
        return;
    }
    const auto device                       = static_cast<std::size_t>(event.device);
    timeline_.ends[device][event.execution] = now_;
    for (const std::size_t follower : execution.followers)
      if (--missing_[device][follower] == 0)
        begin(event.device, follower);
  }

  const ShardedProgram& program_;
  const Machine& machine_;
  std::deque<std::vector<std::vector<Leg>>> courses_; // stable addresses
  std::vector<Execution> executions_;
  std::vector<std::pair<std::size_t, const DeviceBlock*>> iterations_; // of all blocks: first execution
  std::vector<std::vector<int>> missing_;                              // what each device's executions still wait for
  std::priority_queue<Event, std::vector<Event>, std::greater<>> heap_;
  std::vector<std::map<Meeting, std::vector<std::int64_t>>> arrived_; // of each execution
  std::map<std::pair<std::int64_t, std::size_t>, std::size_t> parts_left_;
  std::vector<std::array<Ticks, 32>> busy_until_; // of each device and kind of link
  std::map<std::pair<std::size_t, Meeting>, Ticks> nic_starts_;
  Ticks now_ = 0;
  Timeline timeline_;
};

} // namespace

Ticks Timeline::end_of(std::int64_t device, int block, int iteration, int operation) const
{
  const std::size_t start = first.at(static_cast<std::size_t>(block)).at(static_cast<std::size_t>(iteration));
  return ends.at(static_cast<std::size_t>(device)).at(start + static_cast<std::size_t>(operation));
}

Timeline evaluate(const ShardedProgram& program, const Machine& machine, const Placement& placement,
                  MultiAxis multi_axis, Granularity granularity)
{
  if (granularity == Granularity::automatic)
    throw std::invalid_argument("the evaluator wants to know whether collectives go by chunks");
  return Evaluator(program, machine, Courses(machine, placement, multi_axis, granularity)).run();
}

} // namespace podsim::test
