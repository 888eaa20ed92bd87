// The module that has SimGrid in it (simgrid_module.hpp).

#include "sim/engine/clock/simgrid_module.hpp"

#include <csignal>
#include <deque>
#include <fmt/format.h>
#include <simgrid/s4u.hpp>
#include <xbt/log.h>

namespace podsim {
namespace {

namespace sg = simgrid::s4u;

// What a processor does at once never slows it down: there is a lane for each.
constexpr int lanes = 64;

// An activity under way; the clock finds it again by the pointer kept in the activity. SimGrid 3.32 needs it held until
// after its own callback.
struct Running {
  sg::ActivityPtr activity;
  Token token{};
  double since   = 0;
  bool under_way = false;
};

class SimgridClock final : public Clock {
public:
  SimgridClock()
      : engine_(sg::Engine::get_instance()), zone_(sg::create_star_zone("machine")),
        sink_(zone_->create_host("sink", ticks_per_second))
  {
    add_route(nullptr, sink_, {});
  }

  Processor add_processor() override
  {
    processors_.push_back(
        zone_->create_host(fmt::format("processor{}", processors_.size()), ticks_per_second)->set_core_count(lanes));
    return static_cast<Processor>(processors_.size()) - 1;
  }

  Link add_link(double rate, Ticks latency) override
  {
    latencies_.add_link(latency);
    sg::Link* link = zone_->create_link(fmt::format("link{}", links_.size()), rate * ticks_per_second);
    link->set_latency(static_cast<double>(latency) / ticks_per_second);
    link->seal();
    links_.push_back(link);
    return static_cast<Link>(links_.size()) - 1;
  }

  Port add_port(const std::vector<Link>& out, const std::vector<Link>& in) override
  {
    latencies_.add_port(out, in);
    sg::Host* host = zone_->create_host(fmt::format("port{}", ports_.size()), ticks_per_second);
    add_route(host, nullptr, out);
    add_route(nullptr, host, in);
    ports_.push_back(host);
    return static_cast<Port>(ports_.size()) - 1;
  }

  void wait(Processor on, double ticks, Token token) override
  {
    const sg::ExecPtr exec = sg::Exec::init();
    exec->set_flops_amount(ticks)->set_host(processors_[static_cast<std::size_t>(on)]);
    start(exec, token);
  }

  void send(Port from, Ticks size, Token token) override { send(port(from), sink_, size, token); }

  void send(Port from, Port to, Ticks size, Token token) override
  {
    latencies_.between(from, to);
    send(port(from), port(to), size, token);
  }

  void run(const std::function<void()>& started, const std::function<void(const Token&, double since)>& ended) override
  {
    engine_->seal_platform();
    sg::Activity::on_completion_cb([&](const sg::Activity& activity) { on_end(activity, ended); });
    started();
    engine_->run();
  }

  double now() const override { return sg::Engine::get_clock() * ticks_per_second; }

  void each_running(const std::function<void(Token&, double since)>& f) override
  {
    for (Running& running : pool_)
      if (running.under_way)
        f(running.token, running.since);
  }

  std::int64_t activities() const override { return created_; }

private:
  sg::Host* port(Port index) const { return ports_[static_cast<std::size_t>(index)]; }

  void add_route(const sg::Host* from, const sg::Host* to, const std::vector<Link>& links)
  {
    std::vector<sg::LinkInRoute> all;
    for (const Link link : links)
      all.emplace_back(links_[static_cast<std::size_t>(link)]);
    zone_->add_route(from ? from->get_netpoint() : nullptr, to ? to->get_netpoint() : nullptr, nullptr, nullptr, all,
                     false);
  }

  void send(sg::Host* from, sg::Host* to, Ticks size, Token token)
  {
    const sg::CommPtr comm = sg::Comm::sendto_init(from, to);
    comm->set_payload_size(static_cast<std::uint64_t>(size));
    start(comm, token);
  }

  template <class Pointer> void start(const Pointer& activity, Token token)
  {
    if (free_.empty())
      free_.push_back(&pool_.emplace_back());
    Running* running = free_.back();
    free_.pop_back();
    *running = {activity, token, now(), true};
    ++created_;
    activity->set_data(running);
    activity->vetoable_start();
  }

  void on_end(const sg::Activity& activity, const std::function<void(const Token&, double since)>& ended)
  {
    if (ended_last_) {
      ended_last_->activity.reset();
      free_.push_back(ended_last_);
    }
    auto* running = activity.get_data<Running>();
    ended_last_   = running;
    ended(running->token, running->since);
    running->under_way = false;
  }

  sg::Engine* engine_;
  sg::NetZone* zone_;
  sg::Host* sink_; // of what ends nowhere in particular
  std::vector<sg::Host*> processors_, ports_;
  std::vector<sg::Link*> links_;
  RouteLatencies latencies_;
  std::deque<Running> pool_; // stable addresses
  std::vector<Running*> free_;
  Running* ended_last_  = nullptr; // still inside its own callback
  std::int64_t created_ = 0;
};

void start()
{
  if (sg::Engine::is_initialized())
    return;
  xbt_log_control_set("xbt_cfg.thresh:warning");
  struct sigaction interrupt = {}; // SimGrid's own handler prints a report of its state
  sigaction(SIGINT, nullptr, &interrupt);
  new sg::Engine("podsim"); // owned by SimGrid's singleton; never given the user's arguments
  sigaction(SIGINT, &interrupt, nullptr);
  sg::Engine::set_config("network/model:CM02");
  sg::Engine::set_config("network/crosstraffic:0");
  sg::Engine::set_config("network/TCP-gamma:1e15"); // else long latencies throttle flows
  sg::Engine::set_config("surf/precision:4e-13");   // below half a tick; else events that are close merge
}

Clock* make_clock()
{
  start();
  return new SimgridClock;
}

} // namespace
} // namespace podsim

extern "C" const podsim::SimgridModule podsim_simgrid_module{podsim::start, podsim::make_clock};
