#pragma once
// The only door to SimGrid. It knows processors and ports, and calls back when an activity ends; it knows
// nothing of programs or collectives. Works in ticks: a processor does 2^40 "flops" a second and a port carries 2^40
// "bytes", so an amount in ticks takes that many ticks. Activities are created when they may start,
// never ahead, and held until after their own callback, as SimGrid 3.32 needs it.
//
// One engine a process, and every amount must be positive: SimGrid checks neither.

#include "sim/engine/ticks.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace podsim {

// What the owner wants to hear back when an activity ends.
struct Token {
  std::int32_t kind, device_class, slot, part, direction;
};

using Processor = int;
using Port      = int; // where transfers start; those that end nowhere in particular only use their own
using Link      = int;

std::string simgrid_version();

// SimGrid's own start, which a simulation makes if nobody has: a process that forks others to simulate starts it once
// for all of them.
void start_simgrid();

class SimgridEngine {
public:
  SimgridEngine();
  ~SimgridEngine();
  SimgridEngine(const SimgridEngine&)            = delete;
  SimgridEngine& operator=(const SimgridEngine&) = delete;

  // The platform, before run(). A processor keeps its speed however many activities it has (up to 64).
  Processor add_processor();
  Link add_link(double rate, Ticks latency); // rate relative to the port's unit
  // SimGrid shares a link by the inverse of its flows' latencies, and gives one without latency nothing: routes over a
  // link must be as long as one another, else std::logic_error.
  Port add_port(const std::vector<Link>& out, const std::vector<Link>& in);

  // Activities, from inside callbacks.
  void compute(Processor on, Ticks work, Token token);
  void wait(Processor on, double ticks, Token token); // that may leave the grid, as what is waited for
  void send(Port from, Ticks size, Token token);          // over from's links out
  void send(Port from, Port to, Ticks size, Token token); // and to's links in

  // Runs until no activity is left; `started` is called first, `ended` after each activity with when it began.
  void run(const std::function<void()>& started, const std::function<void(const Token&, double since)>& ended);

  double now() const; // in ticks

  // What is under way, in no particular order: f(token, when it began); the token may be changed. Inside a callback the
  // activity that has just ended is still among it.
  void each_running(const std::function<void(Token&, double since)>& f);

  std::int64_t activities() const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace podsim
