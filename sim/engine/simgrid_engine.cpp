#include "sim/engine/simgrid_engine.hpp"

#include <csignal>
#include <deque>
#include <fmt/format.h>
#include <optional>
#include <simgrid/s4u.hpp>
#include <simgrid/version.h>
#include <stdexcept>
#include <utility>
#include <xbt/log.h>

namespace podsim {
namespace {

namespace sg = simgrid::s4u;

// What a processor does at once never slows it down: there is a lane for each.
constexpr int lanes = 64;

// An activity under way; the engine finds it again by the pointer kept in the activity.
struct Running {
  sg::ActivityPtr activity;
  Token token{};
  double since   = 0;
  bool under_way = false;
};

void check_latency(std::optional<Ticks> known, Ticks latency)
{
  if (known && *known != latency)
    throw std::logic_error("routes over one link differ in latency, by which SimGrid would share it");
}

} // namespace

struct SimgridEngine::State {
  sg::Engine* engine = nullptr;
  sg::NetZone* zone  = nullptr;
  std::vector<sg::Host*> processors, ports;
  std::vector<sg::Link*> links;
  std::vector<Ticks> link_latency;
  std::vector<Ticks> route_latency; // of the ways out over each link, of the first port that uses it; -1: of none
  std::vector<std::pair<Ticks, Ticks>> port_latency; // out, in
  std::optional<Ticks> between_ports;
  sg::Host* sink = nullptr;
  std::deque<Running> pool; // stable addresses
  std::vector<Running*> free;
  Running* ended_last = nullptr; // still inside its own callback
  std::function<void(const Token&, double)> ended;
  std::int64_t activities = 0;

  Running* take(Token token)
  {
    if (free.empty()) {
      pool.emplace_back();
      free.push_back(&pool.back());
    }
    Running* running = free.back();
    free.pop_back();
    running->token     = token;
    running->since     = sg::Engine::get_clock() * ticks_per_second;
    running->under_way = true;
    ++activities;
    return running;
  }

  template <class Pointer> void start(const Pointer& activity, Token token)
  {
    Running* running  = take(token);
    running->activity = activity;
    activity->set_data(running);
    activity->vetoable_start();
  }

  void on_end(const sg::Activity& activity)
  {
    if (ended_last) {
      ended_last->activity.reset();
      free.push_back(ended_last);
    }
    auto* running = activity.get_data<Running>();
    ended_last    = running;
    ended(running->token, running->since);
    running->under_way = false;
  }
};

void start_simgrid()
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

SimgridEngine::SimgridEngine() : state_(std::make_unique<State>())
{
  start_simgrid();
  state_->engine = sg::Engine::get_instance();
  state_->zone   = sg::create_star_zone("machine");
  state_->sink   = state_->zone->create_host("sink", ticks_per_second);
  state_->zone->add_route(nullptr, state_->sink->get_netpoint(), nullptr, nullptr, std::vector<sg::LinkInRoute>{},
                          false);
}

SimgridEngine::~SimgridEngine() = default;

Processor SimgridEngine::add_processor()
{
  state_->processors.push_back(
      state_->zone->create_host(fmt::format("processor{}", state_->processors.size()), ticks_per_second)
          ->set_core_count(lanes));
  return static_cast<Processor>(state_->processors.size()) - 1;
}

Link SimgridEngine::add_link(double rate, Ticks latency)
{
  sg::Link* link = state_->zone->create_link(fmt::format("link{}", state_->links.size()), rate * ticks_per_second);
  link->set_latency(static_cast<double>(latency) / ticks_per_second);
  link->seal();
  state_->links.push_back(link);
  state_->link_latency.push_back(latency);
  state_->route_latency.push_back(-1);
  return static_cast<Link>(state_->links.size()) - 1;
}

Port SimgridEngine::add_port(const std::vector<Link>& out, const std::vector<Link>& in)
{
  const auto latency = [&](const std::vector<Link>& links) {
    Ticks sum = 0;
    for (const Link link : links)
      sum += state_->link_latency[static_cast<std::size_t>(link)];
    return sum;
  };
  state_->port_latency.emplace_back(latency(out), latency(in));
  for (const Link link : out) {
    Ticks& known = state_->route_latency[static_cast<std::size_t>(link)];
    check_latency(known < 0 ? std::nullopt : std::optional(known), latency(out));
    known = latency(out);
  }
  sg::Host* host   = state_->zone->create_host(fmt::format("port{}", state_->ports.size()), ticks_per_second);
  const auto route = [&](const std::vector<Link>& links) {
    std::vector<sg::LinkInRoute> all;
    for (const Link link : links)
      all.emplace_back(state_->links[static_cast<std::size_t>(link)]);
    return all;
  };
  state_->zone->add_route(host->get_netpoint(), nullptr, nullptr, nullptr, route(out), false);
  state_->zone->add_route(nullptr, host->get_netpoint(), nullptr, nullptr, route(in), false);
  state_->ports.push_back(host);
  return static_cast<Port>(state_->ports.size()) - 1;
}

void SimgridEngine::compute(Processor on, Ticks work, Token token)
{
  wait(on, static_cast<double>(work), token);
}

void SimgridEngine::wait(Processor on, double ticks, Token token)
{
  const sg::ExecPtr exec = sg::Exec::init();
  exec->set_flops_amount(ticks)->set_host(state_->processors[static_cast<std::size_t>(on)]);
  state_->start(exec, token);
}

void SimgridEngine::send(Port from, Ticks size, Token token)
{
  const sg::CommPtr comm = sg::Comm::sendto_init(state_->ports[static_cast<std::size_t>(from)], state_->sink);
  comm->set_payload_size(static_cast<std::uint64_t>(size));
  state_->start(comm, token);
}

void SimgridEngine::send(Port from, Port to, Ticks size, Token token)
{
  const Ticks latency = state_->port_latency[static_cast<std::size_t>(from)].first +
                        state_->port_latency[static_cast<std::size_t>(to)].second;
  check_latency(state_->between_ports, latency);
  state_->between_ports = latency;
  const sg::CommPtr comm =
      sg::Comm::sendto_init(state_->ports[static_cast<std::size_t>(from)], state_->ports[static_cast<std::size_t>(to)]);
  comm->set_payload_size(static_cast<std::uint64_t>(size));
  state_->start(comm, token);
}

void SimgridEngine::run(const std::function<void()>& started,
                        const std::function<void(const Token&, double since)>& ended)
{
  state_->engine->seal_platform();
  state_->ended = ended;
  sg::Activity::on_completion_cb([state = state_.get()](const sg::Activity& activity) { state->on_end(activity); });
  started();
  state_->engine->run();
}

double SimgridEngine::now() const
{
  return sg::Engine::get_clock() * ticks_per_second;
}

void SimgridEngine::each_running(const std::function<void(Token&, double since)>& f)
{
  for (Running& running : state_->pool)
    if (running.under_way)
      f(running.token, running.since);
}

std::int64_t SimgridEngine::activities() const
{
  return state_->activities;
}

std::string simgrid_version()
{
  return fmt::format("{}.{}", SIMGRID_VERSION_MAJOR, SIMGRID_VERSION_MINOR);
}

} // namespace podsim
