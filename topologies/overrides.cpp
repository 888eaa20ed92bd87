#include "topologies/overrides.hpp"

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
}

} // namespace podsim
