#include "scenarios/faults.hpp"

#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <set>

namespace podsim {
namespace {

// What random draws are of; part of their hash.
enum Drawn : std::uint64_t { drawn_chips = 1, drawn_links, drawn_hosts, drawn_jitter };

class FaultReader {
public:
  FaultReader(const Machine& machine, const Placement& placement, std::optional<std::size_t> pipeline)
      : machine_(machine), placement_(placement), pipeline_(pipeline)
  {
  }

  std::vector<Fault> read(Reader& faults)
  {
    if (const auto how = faults.find("dead_links"))
      spare_cubes_ = how->choice<bool>({{"other way round", false}, {"spare cube", true}});
    if (spare_cubes_ && (machine_.cube == 0 || !whole_cubes()))
      faults.at("dead_links")
          .fail("optical switches form a slice anew only of whole cubes, on a machine that has them");
    each(faults, "chips", [&](Reader& chip) {
      const Place place = read_place(chip.at("at"));
      const bool core   = machine_.chip.devices > 1 && place.devices.size() == 1; // whose place says it
      Fault fault{name(chip, (core ? "" : "chip ") + place.text), {}};
      const Speed speed = read_speed(chip);
      for (const std::int64_t device : place.devices)
        fault.effect.devices[device] = speed;
      return fault;
    });
    each(faults, "links", [&](Reader& link) { return read_link(link); });
    each(faults, "hosts", [&](Reader& host) {
      const Place place = read_place(host.at("at"));
      Fault fault{name(host, "host of " + place.text), {}};
      fault.effect.hosts[machine_.host_of(place.devices.front())] = host.at("nic").fraction();
      return fault;
    });
    each(faults, "pods", [&](Reader& pod) {
      const std::int64_t which = pod.at(copies()).count(0, machine_.pods() - 1);
      Fault fault{name(pod, fmt::format("{} {}", copies(), which)), {}};
      const Speed speed = read_speed(pod);
      count_slow(machine_.devices_per_pod(), pod);
      for (std::int64_t device = 0; device < machine_.devices_per_pod(); ++device)
        fault.effect.devices[which * machine_.devices_per_pod() + device] = speed;
      return fault;
    });
    if (auto random = faults.find("random"))
      read_random(*random);
    if (auto jitter = faults.find("jitter"))
      read_jitter(*jitter);
    check_dead_links();
    return std::move(faults_);
  }

private:
  // A run keeps each slow part, and may have to tell it from all others.
  void count_slow(std::int64_t more, const Reader& fault)
  {
    constexpr std::int64_t most = 1'000'000;
    slow_ += more;
    if (slow_ > most)
      fault.fail(fmt::format("more than {} {}s, links and hosts are slow or dead", most, machine_.device_word()));
  }

  struct Place {
    std::vector<std::int64_t> devices; // several where a chip is
    std::string text;
  };

  std::string copies() const { return machine_.axis_name(machine_.dcn_axis()); }

  template <class Read> void each(Reader& faults, const std::string& kind, const Read& read)
  {
    const auto list = faults.find(kind);
    if (!list)
      return;
    for (Reader fault : list->elements())
      fault.attempt([&] {
        faults_.push_back(read(fault));
        fault.finish();
      });
  }

  static std::string name(Reader& fault, const std::string& usual)
  {
    const auto own = fault.find("name");
    return own ? own->text() : usual;
  }

  Place read_place(Reader at) const
  {
    if (!at.is_object()) {
      const std::int64_t device = at.count(0, machine_.devices() - 1);
      return {{device}, machine_.describe(device)};
    }
    Place place{{0}, {}};
    for (std::size_t axis = machine_.lattice.axes.size(); axis-- > 0;) {
      const std::int64_t size = machine_.lattice.axes[axis].size;
      const std::string key   = machine_.axis_name(axis);
      std::vector<std::int64_t> coordinates{0};
      if (auto own = at.find(key)) {
        coordinates = {own->count(0, size - 1)};
      } else if (machine_.lattice.axes[axis].name == "core") {
        coordinates.clear();
        for (std::int64_t core = 0; core < size; ++core)
          coordinates.push_back(core);
      } else if (size > 1) {
        at.fail(fmt::format("\"{}\" is missing: a coordinate from 0 to {}", key, size - 1));
      }
      std::vector<std::int64_t> devices;
      for (const std::int64_t device : place.devices)
        for (const std::int64_t coordinate : coordinates)
          devices.push_back(machine_.lattice.moved(device, axis, coordinate));
      place.devices = std::move(devices);
    }
    at.finish();
    place.text = place.devices.size() > 1 ? machine_.describe_chip(place.devices.front())
                                          : machine_.describe(place.devices.front());
    return place;
  }

  static Speed read_speed(Reader& fault)
  {
    Speed speed;
    const auto compute = fault.find("compute");
    const auto hbm     = fault.find("hbm");
    if (!compute && !hbm)
      fault.finish(); // a slip of the pen is the likelier reason
    if (!compute && !hbm)
      fault.fail("needs \"compute\" or \"hbm\", a fraction of the catalogue's speed");
    if (compute)
      speed.compute = compute->fraction();
    if (hbm)
      speed.hbm = hbm->fraction();
    return speed;
  }

  // Of a link: 0 if it is dead.
  static double read_bandwidth(Reader& fault)
  {
    const auto dead      = fault.find("dead");
    const auto bandwidth = fault.find("bandwidth");
    if (!dead && !bandwidth)
      fault.finish();
    if ((dead && dead->flag()) == bandwidth.has_value())
      fault.fail("needs either \"bandwidth\", a fraction of the catalogue's, or \"dead\": true");
    return bandwidth ? bandwidth->fraction() : 0;
  }

  bool has_link_up(std::int64_t device, std::size_t axis) const
  {
    const LatticeAxis& own = machine_.lattice.axes[axis];
    return own.size > 1 && (own.closed || machine_.lattice.coordinate(device, axis) + 1 < own.size);
  }

  // The two links of the cable up an axis from a device; one of a switched axis, the device's own way out.
  void set_link(Overrides& overrides, std::int64_t device, std::size_t axis, double speed, bool up, bool down) const
  {
    const std::int64_t next = (machine_.lattice.coordinate(device, axis) + 1) % machine_.lattice.axes[axis].size;
    if (up)
      overrides.links[{device, axis, 0}] = speed;
    if (down)
      overrides.links[{machine_.lattice.moved(device, axis, next), axis, 1}] = speed;
  }

  Fault read_link(Reader& link)
  {
    const Place place = read_place(link.at("at"));
    std::vector<std::pair<std::string, std::size_t>> axes;
    for (std::size_t axis = 0; axis < machine_.dcn_axis(); ++axis)
      axes.emplace_back(machine_.lattice.axes[axis].name, axis);
    const Reader on        = link.at("axis");
    const std::size_t axis = on.choice(axes);
    const bool torus       = machine_.lattice.axes[axis].kind == AxisKind::ici;
    for (const std::int64_t device : place.devices)
      if (torus && !has_link_up(device, axis))
        on.fail(fmt::format("no link goes up {} from {}: the axis is {}", on.text(), place.text,
                            machine_.lattice.axes[axis].size == 1 ? "1 long" : "open and ends there"));
    bool up   = true;
    bool down = torus;
    if (const auto direction = link.find("direction")) {
      up   = direction->choice<bool>({{"up", true}, {"down", false}});
      down = !up;
    }
    const double speed = read_bandwidth(link);
    if (speed == 0 && (!torus || !(up && down)))
      link.fail("only a torus goes on without a link, and a dead one is dead both ways");
    Fault fault{name(link, fmt::format("{} link up {} from {}", speed == 0 ? "dead" : "slow", on.text(), place.text)),
                {}};
    for (const std::int64_t device : place.devices)
      kill_or_slow(fault.effect, device, axis, speed, up, down);
    return fault;
  }

  // A dead link stays in the machine only where no spare cube takes its place.
  void kill_or_slow(Overrides& overrides, std::int64_t device, std::size_t axis, double speed, bool up, bool down)
  {
    if (speed == 0 && spare_cubes_)
      replaced_.insert(cube_of(device));
    else
      set_link(overrides, device, axis, speed, up, down);
  }

  void read_random(Reader& random)
  {
    const auto seed = static_cast<std::uint64_t>(random.at("seed").count(0));
    const auto draw = [&](const char* kind, Drawn what, std::int64_t count, const auto& make) {
      auto own = random.find(kind);
      if (!own)
        return;
      const Reader rate = own->at("rate");
      const double each = rate.number();
      if (!(each >= 0 && each <= 1))
        rate.expected("a probability from 0 to 1");
      Fault fault;
      const auto add     = make(*own, fault.effect);
      std::int64_t drawn = 0;
      for (std::int64_t i = 0; i < count; ++i)
        if (uniform(seed, what, static_cast<std::uint64_t>(i)) < each && add(i)) {
          count_slow(1, *own);
          ++drawn;
        }
      fault.name = fmt::format("{} of the {} at random", drawn, kind);
      own->finish();
      faults_.push_back(std::move(fault));
    };
    draw("chips", drawn_chips, machine_.chips(), [&](Reader& own, Overrides& effect) {
      return [&effect, speed = read_speed(own), cores = machine_.chip.devices](std::int64_t chip) {
        for (std::int64_t core = 0; core < cores; ++core)
          effect.devices[chip * cores + core] = speed;
        return true;
      };
    });
    std::vector<std::size_t> axes;
    for (std::size_t axis = 0; axis < machine_.dcn_axis(); ++axis)
      if (machine_.lattice.axes[axis].kind == AxisKind::ici)
        axes.push_back(axis);
    draw("links", drawn_links, machine_.devices() * static_cast<std::int64_t>(axes.size()),
         [&](Reader& own, Overrides& effect) {
           return [&, this, speed = read_bandwidth(own)](std::int64_t i) {
             const auto count          = static_cast<std::int64_t>(axes.size());
             const std::int64_t device = i / count;
             const std::size_t axis    = axes[static_cast<std::size_t>(i % count)];
             if (!has_link_up(device, axis))
               return false;
             kill_or_slow(effect, device, axis, speed, true, true);
             return true;
           };
         });
    draw("hosts", drawn_hosts, machine_.devices(), [&](Reader& own, Overrides& effect) {
      return [this, &effect, nic = own.at("nic").fraction()](std::int64_t device) {
        if (machine_.devices_of_host(machine_.host_of(device)).front() != device)
          return false; // a host is drawn by its first device
        effect.hosts[machine_.host_of(device)] = nic;
        return true;
      };
    });
    random.finish();
  }

  void read_jitter(Reader& jitter)
  {
    const auto seed    = static_cast<std::uint64_t>(jitter.at("seed").count(0));
    const Reader given = jitter.at("scale");
    const double scale = given.number();
    if (!(scale > 0 && scale <= 1))
      given.expected("a number above 0 and up to 1");
    jitter.finish();
    count_slow(machine_.devices(), jitter);
    Fault fault{fmt::format("jitter of scale {:g}", scale), {}};
    for (std::int64_t device = 0; device < machine_.devices(); ++device) {
      const auto chip              = static_cast<std::uint64_t>(device / machine_.chip.devices);
      const double x               = -std::log1p(-uniform(seed, drawn_jitter, chip));
      fault.effect.devices[device] = {.compute = 1 / (1 + scale * x)};
    }
    faults_.push_back(std::move(fault));
  }

  bool whole_cubes() const
  {
    return std::all_of(machine_.lattice.axes.begin(), machine_.lattice.axes.end(), [&](const LatticeAxis& axis) {
      return axis.kind != AxisKind::ici || axis.size % machine_.cube == 0;
    });
  }

  // A number for each cube of the machine, after that of its pod.
  std::pair<std::int64_t, std::int64_t> cube_of(std::int64_t device) const
  {
    std::int64_t cube = 0;
    for (std::size_t axis = machine_.dcn_axis(); axis-- > 0;)
      if (machine_.lattice.axes[axis].kind == AxisKind::ici)
        cube = cube * (machine_.lattice.axes[axis].size / machine_.cube) +
               machine_.lattice.coordinate(device, axis) / machine_.cube;
    return {machine_.lattice.coordinate(device, machine_.dcn_axis()), cube};
  }

  void check_dead_links() const
  {
    std::map<std::int64_t, std::int64_t> replaced; // cubes of each pod
    for (const auto& [pod, cube] : replaced_)
      ++replaced[pod];
    std::int64_t dimensions = 0;
    for (const LatticeAxis& axis : machine_.lattice.axes)
      dimensions += axis.kind == AxisKind::ici ? 1 : 0;
    if (!replaced.empty()) {
      const std::int64_t chips = machine_.cube == 0 ? 1 : std::llround(std::pow(machine_.cube, dimensions));
      const std::int64_t spare = machine_.pod_chips / chips - machine_.chips() / machine_.pods() / chips;
      for (const auto& [pod, cubes] : replaced)
        if (cubes > spare)
          throw CannotRun(fmt::format("faults: pod {} needs {} spare cubes for its dead links; a slice of {} leaves {}",
                                      pod, cubes, machine_.shape(), spare));
    }
    Overrides all; // links alone
    for (const Fault& fault : faults_)
      all.add({.devices = {}, .links = fault.effect.links, .hosts = {}});
    std::map<std::pair<std::size_t, std::int64_t>, int> dead; // on each line of an axis, named by its first device
    for (const auto& [link, speed] : all.links)
      if (speed == 0 && link.direction == 0)
        check_way_round(link, ++dead[{link.axis, machine_.lattice.moved(link.device, link.axis, 0)}]);
  }

  void check_way_round(const LinkId& link, int dead_on_its_line) const
  {
    const LatticeAxis& axis = machine_.lattice.axes[link.axis];
    const char* mend        = machine_.cube > 0 ? "; \"dead_links\": \"spare cube\" re-forms the slice without it" : "";
    const auto refuse       = [&](const std::string& why) {
      throw CannotRun(fmt::format("faults: the dead link up {} from {} {}{}", axis.name,
                                        machine_.describe_chip(link.device), why, mend));
    };
    if (machine_.lattice.twisted)
      refuse("is one of a twisted torus, whose routes need all of its links");
    if (dead_on_its_line > 1)
      refuse("is the second one on its ring, of which they cut off a part");
    if (!axis.closed)
      refuse("cuts a line that has no other way round");
    for (std::size_t i = 0; i < placement_.size(); ++i)
      for (const AxisFactor& factor : placement_[i]) {
        if (factor.axis != link.axis || factor.length == 1)
          continue;
        if (factor.length != axis.size)
          refuse("lies on an axis that several mesh axes share, where no traffic can be sent the other way round");
        if (pipeline_ == i)
          refuse("lies between pipeline stages, whose transfers podsim does not send the other way round");
      }
  }

  const Machine& machine_;
  const Placement& placement_;
  std::optional<std::size_t> pipeline_; // the mesh axis of its stages
  bool spare_cubes_ = false;
  std::set<std::pair<std::int64_t, std::int64_t>> replaced_;
  std::vector<Fault> faults_;
  std::int64_t slow_ = 0;
};

} // namespace

std::vector<Fault> read_faults(Reader faults, const Machine& machine, const Placement& placement,
                               std::optional<std::size_t> pipeline)
{
  std::vector<Fault> all = FaultReader(machine, placement, pipeline).read(faults);
  faults.finish();
  return all;
}

} // namespace podsim
