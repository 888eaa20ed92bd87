#pragma once
// What runs activities in simulated time: a processor's work and the transfers that share links. It knows nothing of
// programs or collectives, and calls back when an activity ends. Two stand behind it, which say the same to the last
// bit: SimGrid (simgrid_module.hpp), whose word counts, and a heap in this process (heap_clock.hpp).
//
// Works in ticks: a processor does a tick of work in a tick, and a link of rate 1 carries a tick of transmission.
// A transfer moves when the latencies of its links have passed. What moves shares links max-min fairly: of the links
// that flows are on the tightest gives each the same, these leave, and so on. Activities are created when they may
// start, never ahead; each amount must be positive, and each route have a latency.

#include "sim/core/ticks.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace podsim {

// What the owner wants to hear back when an activity ends.
struct Token {
  std::int32_t kind, device_class, slot, part, direction;
};

using Processor = int;
using Port      = int; // where transfers start; those that end nowhere in particular only use their own
using Link      = int;

class Clock {
public:
  Clock()                        = default;
  Clock(const Clock&)            = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock()               = default;

  // The platform, before run(). A processor keeps its speed however many activities it has (up to 64).
  virtual Processor add_processor()                 = 0;
  virtual Link add_link(double rate, Ticks latency) = 0; // rate relative to the port's unit
  // Routes over a link must be as long as one another, else std::logic_error: SimGrid shares a link by the inverse of
  // its flows' latencies, and gives one without latency nothing.
  virtual Port add_port(const std::vector<Link>& out, const std::vector<Link>& in) = 0;

  // Activities, from inside callbacks.
  virtual void wait(Processor on, double ticks, Token token)     = 0; // that may leave the grid
  virtual void send(Port from, Ticks size, Token token)          = 0; // over from's links out
  virtual void send(Port from, Port to, Ticks size, Token token) = 0; // and to's links in
  void compute(Processor on, Ticks work, Token token) { wait(on, static_cast<double>(work), token); }

  // Runs until no activity is left; `started` is called first, `ended` after each activity with when it began. What
  // ends at one instant is called back in no particular order. The token is the activity's own: what each_running()
  // changes in a callback, the callback sees.
  virtual void run(const std::function<void()>& started,
                   const std::function<void(const Token&, double since)>& ended) = 0;

  virtual double now() const = 0; // in ticks

  // What is under way, in no particular order: f(token, when it began); the token may be changed. Inside a callback the
  // activity that has just ended is still among it.
  virtual void each_running(const std::function<void(Token&, double since)>& f) = 0;

  virtual std::int64_t activities() const = 0; // that were created
};

// That routes over one link have one latency, as both clocks need it of their ports.
class RouteLatencies {
public:
  void add_link(Ticks latency);
  void add_port(const std::vector<Link>& out, const std::vector<Link>& in);
  Ticks out(Port port) const { return ports_[static_cast<std::size_t>(port)].out; }
  Ticks between(Port from, Port to); // throws std::logic_error if it is not that of the others

private:
  struct Ends {
    Ticks out, in;
  };
  Ticks sum(const std::vector<Link>& links) const;

  std::vector<Ticks> links_;
  std::vector<Ticks> routes_; // of the ways out over each link, of the first port that uses it; -1: of none
  std::vector<Ends> ports_;
  Ticks between_ = -1;
};

} // namespace podsim
