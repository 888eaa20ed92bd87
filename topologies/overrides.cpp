#include "topologies/overrides.hpp"

#include <algorithm>

namespace podsim {

Speed Overrides::device(std::int64_t device) const
{
  const auto found = devices.find(device);
  return found == devices.end() ? Speed{} : found->second;
}

double Overrides::link(const LinkId& link) const
{
  const auto found = links.find(link);
  return found == links.end() ? 1 : found->second;
}

double Overrides::host(std::int64_t host) const
{
  const auto found = hosts.find(host);
  return found == hosts.end() ? 1 : found->second;
}

double Overrides::slowest() const
{
  double least = 1;
  for (const auto& [id, speed] : devices)
    least = std::min({least, speed.compute, speed.hbm});
  for (const auto& [id, speed] : links)
    least = std::min(least, speed > 0 ? speed : 1);
  for (const auto& [id, speed] : hosts)
    least = std::min(least, speed);
  return least;
}

void Overrides::add(const Overrides& more)
{
  // What is as fast as the catalogue says is no override: it would be told apart from the rest for nothing.
  const auto set = [](auto& all, const auto& id, const auto& speed, const auto& usual) {
    if (speed == usual)
      all.erase(id);
    else
      all.insert_or_assign(id, speed);
  };
  for (const auto& [id, speed] : more.devices) {
    const Speed own = device(id);
    set(devices, id, Speed{own.compute * speed.compute, own.hbm * speed.hbm}, Speed{});
  }
  for (const auto& [id, factor] : more.links)
    set(links, id, link(id) * factor, 1.0);
  for (const auto& [id, factor] : more.hosts)
    set(hosts, id, host(id) * factor, 1.0);
}

} // namespace podsim
