#include "sim/engine/clock/clock.hpp"

#include <stdexcept>

namespace podsim {
namespace {

void check(Ticks known, Ticks latency)
{
  if (known >= 0 && known != latency)
    throw std::logic_error("routes over one link differ in latency, by which it would be shared");
}

} // namespace

void RouteLatencies::add_link(Ticks latency)
{
  links_.push_back(latency);
  routes_.push_back(-1);
}

void RouteLatencies::add_port(const std::vector<Link>& out, const std::vector<Link>& in)
{
  ports_.push_back({sum(out), sum(in)});
  for (const Link link : out) {
    Ticks& known = routes_[static_cast<std::size_t>(link)];
    check(known, ports_.back().out);
    known = ports_.back().out;
  }
}

Ticks RouteLatencies::between(Port from, Port to)
{
  const Ticks latency = out(from) + ports_[static_cast<std::size_t>(to)].in;
  check(between_, latency);
  between_ = latency;
  return latency;
}

Ticks RouteLatencies::sum(const std::vector<Link>& links) const
{
  Ticks sum = 0;
  for (const Link link : links)
    sum += links_[static_cast<std::size_t>(link)];
  return sum;
}

} // namespace podsim
