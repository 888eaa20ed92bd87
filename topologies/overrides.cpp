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
  for (const auto& [id, speed] : more.devices) {
    Speed& own = devices[id];
    own        = {own.compute * speed.compute, own.hbm * speed.hbm};
  }
  for (const auto& [id, factor] : more.links)
    links[id] = link(id) * factor;
  for (const auto& [id, factor] : more.hosts)
    hosts[id] = host(id) * factor;
  // What is as fast as the catalogue says is no override: it would be told apart from the rest for nothing.
  std::erase_if(devices, [](const auto& one) { return one.second == Speed{}; });
  std::erase_if(links, [](const auto& one) { return one.second == 1; });
  std::erase_if(hosts, [](const auto& one) { return one.second == 1; });
}

} // namespace podsim
