#include "sim/metrics/breakdown.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace podsim {
namespace {

// Sums by name, kept in the order in which a report shows them.
class Account {
public:
  Account(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine, const Placement& placement)
      : program_(program), timed_(timed), machine_(machine), placement_(placement)
  {
    for (const char* name : {"matrix_unit", "hbm", "vector_unit", "overhead"})
      slot(name);
    for (std::size_t axis = 0; axis < placement_.size(); ++axis)
      slot(exposed(AxisMask{1} << axis));
  }

  // Of all classes.
  std::vector<Breakdown> breakdowns(const Course& course, const Tally& tally)
  {
    std::vector<Breakdown> result;
    slot("optimizer");
    slot("idle");
    for (std::size_t c = 0; c < tally.classes.size(); ++c)
      result.push_back(breakdown(tally.classes[c], course, c));
    return result;
  }

private:
  using Shares = std::vector<std::pair<std::size_t, double>>; // by slot

  Breakdown breakdown(const ClassTally& own, const Course& course, std::size_t device_class)
  {
    const std::size_t program = program_.stages[course.stages[device_class]].program;
    const std::int64_t device = course.classes[device_class].representative;
    const auto& durations     = timed_.durations(program, machine_.overrides.device(device));
    std::vector<double> by_slot;
    const auto add = [&](std::size_t name, Seconds time) {
      by_slot.resize(std::max(by_slot.size(), name + 1));
      by_slot[name] += time.value();
    };
    for (std::size_t b = 0; b < own.operations.size(); ++b)
      for (std::size_t o = 0; o < own.operations[b].size(); ++o) {
        const Spent& spent = own.operations[b][o];
        const Ticks alone  = durations[b][o];
        const Seconds time = spent.time.total() + to_seconds(static_cast<double>(alone * spent.times));
        if (time > Seconds(0))
          for (const auto& [name, share] : known_shares(program, b, o, alone, device))
            add(name, time * share);
      }
    for (const auto& [axes, time] : own.waits)
      add(axes != 0 ? slot(exposed(axes)) : slot("idle"), time.total());
    const Seconds after = std::max(own.last_beside - own.last, Seconds(0)); // nothing left to run beside
    add(after > Seconds(0) ? slot(exposed(own.beside)) : slot("idle"), after);
    add(slot("idle"), course.end - own.last - after);
    by_slot.resize(names_.size());
    Breakdown breakdown;
    for (std::size_t name = 0; name < names_.size(); ++name)
      breakdown.emplace_back(names_[name], Seconds(by_slot[name]));
    std::stable_sort(breakdown.begin(), breakdown.end(),
                     [](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
    return breakdown;
  }

  static int rank(const std::string& name)
  {
    return name == "optimizer" ? 2 : name == "idle" ? 3 : name.starts_with("exposed") ? 1 : 0;
  }

  std::size_t slot(const std::string& name)
  {
    const auto known = std::find(names_.begin(), names_.end(), name);
    if (known != names_.end())
      return static_cast<std::size_t>(known - names_.begin());
    names_.push_back(name);
    return names_.size() - 1;
  }

  // Of mesh axes on links of several kinds, the slowest: the DCN, then the torus or the node.
  std::string exposed(AxisMask axes) const
  {
    std::string link = "ici";
    for (std::size_t axis = 0; axis < machine_.lattice.axes.size(); ++axis)
      if (axes_on(link_name(machine_.lattice.axes[axis]), axes, placement_, machine_) != 0)
        link = link_name(machine_.lattice.axes[axis]);
    return "exposed_" + link + "_" + program_.mesh.names(axes);
  }

  // Worked out once for all classes of a program and a speed.
  const Shares& known_shares(std::size_t program, std::size_t block, std::size_t operation, Ticks alone,
                             std::int64_t device)
  {
    const Speed speed = machine_.overrides.device(device);
    auto& known       = shares_[{program, speed}];
    const auto& own   = program_.programs[program].blocks;
    known.resize(own.size());
    known[block].resize(own[block].operations.size());
    std::optional<Shares>& one = known[block][operation];
    if (!one)
      one = shares(own[block].operations[operation], timed_.programs[program][block][operation].plan, alone,
                   at_speed(machine_.chip, speed));
    return *one;
  }

  // What an operation's time is spent on; shares sum to 1. `alone`: how long it takes by itself on this chip.
  Shares shares(const DeviceOperation& operation, const Plan& plan, Ticks alone, const Chip& chip)
  {
    Shares result;
    if (operation.kind == DeviceOperation::Kind::collective) {
      for (const auto& [link, share] : link_shares(plan, machine_)) {
        const AxisMask axes = axes_on(link, operation.collective.axes, placement_, machine_);
        result.emplace_back(slot("exposed_" + link + "_" + program_.mesh.names(axes)), share);
      }
      return result;
    }
    if (operation.kind != DeviceOperation::Kind::compute)
      return {{slot(exposed(AxisMask{1} << program_.pipeline.value())), 1.0}};
    if (operation.pass == Pass::update)
      return {{slot("optimizer"), 1.0}};
    const OperationTime units = operation_time(operation.work, chip);
    const double fixed        = // with what collectives beside it cost; whole ticks add up exactly
        std::min(1.0, static_cast<double>(to_ticks(units.fixed) + alone - to_ticks(units.total())) /
                          static_cast<double>(alone));
    const bool matrix = units.matrix >= units.hbm && units.matrix >= units.vector;
    result.emplace_back(slot("overhead"), fixed);
    result.emplace_back(slot(matrix ? "matrix_unit" : units.hbm >= units.vector ? "hbm" : "vector_unit"), 1 - fixed);
    return result;
  }

  const ShardedProgram& program_;
  const TimedProgram& timed_;
  const Machine& machine_;
  const Placement& placement_;
  std::vector<std::string> names_;
  std::map<std::pair<std::size_t, Speed>, std::vector<std::vector<std::optional<Shares>>>> shares_;
};

} // namespace

std::vector<Breakdown> breakdowns(const ShardedProgram& program, const TimedProgram& timed, const Machine& machine,
                                  const Placement& placement, const Course& course, const Tally& tally)
{
  return Account(program, timed, machine, placement).breakdowns(course, tally);
}

Seconds sum_named(const Breakdown& breakdown, const std::string& name)
{
  for (const auto& [known, time] : breakdown)
    if (known == name)
      return time;
  return Seconds(0);
}

} // namespace podsim
