#include "topologies/machine.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace podsim {
namespace {

std::vector<std::int64_t> parse_shape(const Reader& slice, std::size_t dimensions)
{
  const std::string text = slice.text();
  std::vector<std::int64_t> shape;
  const char* at  = text.data();
  const char* end = text.data() + text.size();
  bool more       = true;
  bool good       = true;
  while (more && good) {
    std::int64_t size     = 0;
    const auto [next, ec] = std::from_chars(at, end, size);
    more                  = next != end;
    good                  = ec == std::errc() && size >= 1 && size <= 1'000'000 && (!more || *next == 'x');
    at                    = more ? next + 1 : end;
    shape.push_back(size);
  }
  if (!good || shape.size() != dimensions)
    slice.expected(fmt::format("a slice shape of {} sizes, like \"{}\"", dimensions,
                               dimensions == 3   ? "12x16x16"
                               : dimensions == 2 ? "16x16"
                                                 : "16"));
  return shape;
}

// `cube`: the block that optical switches join. Slices are made of whole cubes, and then every axis closes,
// or lie inside one cube, and then none does.
Torus form_slice(const Reader& slice, std::size_t dimensions, std::int64_t cube, std::int64_t pod_chips)
{
  Torus torus{parse_shape(slice, dimensions), {}};
  const auto whole = [&](std::int64_t size) { return size % cube == 0; };
  const bool cubes = std::all_of(torus.shape.begin(), torus.shape.end(), whole);
  const bool inside =
      std::all_of(torus.shape.begin(), torus.shape.end(), [&](std::int64_t size) { return size <= cube; });
  if (!cubes && !inside)
    slice.fail(fmt::format("{} cannot be formed: each size must be a multiple of {}, or all at most {}",
                           fmt::join(torus.shape, "x"), cube, cube));
  double chips = 1;
  for (const std::int64_t size : torus.shape)
    chips *= static_cast<double>(size);
  if (chips > static_cast<double>(pod_chips))
    slice.fail(fmt::format("{} is {} chips; a pod has {}", fmt::join(torus.shape, "x"), chips, pod_chips));
  torus.closed.assign(dimensions, cubes);
  return torus;
}

} // namespace

std::int64_t Torus::chips() const
{
  std::int64_t product = 1;
  for (const std::int64_t size : shape)
    product *= size;
  return product;
}

std::int64_t Torus::coordinate(std::int64_t chip, std::size_t axis) const
{
  for (std::size_t i = 0; i < axis; ++i)
    chip /= shape[i];
  return chip % shape[axis];
}

std::int64_t Torus::moved(std::int64_t chip, std::size_t axis, std::int64_t to) const
{
  std::int64_t step = 1;
  for (std::size_t i = 0; i < axis; ++i)
    step *= shape[i];
  return chip + (to - coordinate(chip, axis)) * step;
}

std::string axis_name(std::size_t torus_axis)
{
  return {static_cast<char>('x' + torus_axis)};
}

std::int64_t Machine::chips_per_host() const
{
  std::int64_t product = 1;
  for (std::size_t axis = 0; axis < torus.shape.size(); ++axis)
    product *= std::min(host.chips[axis], torus.shape[axis]);
  return product;
}

std::int64_t Machine::host_of(std::int64_t device) const
{
  std::int64_t index = 0;
  for (std::size_t axis = torus.shape.size(); axis-- > 0;) {
    const std::int64_t block = host.chips[axis];
    const std::int64_t hosts = (torus.shape[axis] + block - 1) / block;
    index                    = index * hosts + torus.coordinate(chip_of(device), axis) / block;
  }
  return pod_of(device) * torus.chips() + index; // no pod has more hosts than chips
}

Machine read_machine(Reader machine)
{
  Machine read;
  read.name = machine.at("name").text();
  read.chip = read_chip(machine.at("chip"));
  read.pods = 1;
  if (const auto pods = machine.find("pods"))
    read.pods = pods->count(1, 4096);

  Reader ici                   = machine.at("ici");
  const auto dimensions        = static_cast<std::size_t>(ici.constant("dimensions").count(1, 3));
  const std::int64_t cube      = ici.constant("cube").count(1, 64);
  const std::int64_t pod_chips = ici.constant("pod_chips").count(1, 1'000'000);
  read.ici.link_bandwidth      = ici.constant("link_bandwidth").quantity<PerSecond<ByteUnit>>();
  read.ici.link_efficiency     = ici.constant("link_efficiency").fraction();
  read.ici.hop_latency         = ici.constant("hop_latency").quantity<SecondUnit>();
  ici.finish();
  read.torus = form_slice(machine.at("slice"), dimensions, cube, pod_chips);
  if (constexpr std::int64_t most = 16'000'000; read.devices() > most) // a run keeps some bytes for each
    machine.at("pods").fail(
        fmt::format("{} pods of {} chips are more than {} chips", read.pods, read.torus.chips(), most));

  Reader host  = machine.at("host");
  Reader block = host.constant("chips");
  for (const Reader& size : block.elements())
    read.host.chips.push_back(size.count(1, 64));
  if (read.host.chips.size() != dimensions)
    block.expected(fmt::format("{} sizes, one a torus axis", dimensions));
  read.host.pcie_bandwidth = host.constant("pcie_bandwidth").quantity<PerSecond<ByteUnit>>();
  read.host.nic_bandwidth  = host.constant("nic_bandwidth").quantity<PerSecond<ByteUnit>>();
  host.finish();
  Reader dcn       = machine.at("dcn");
  read.dcn_latency = dcn.constant("latency").quantity<SecondUnit>();
  dcn.finish();
  machine.finish();
  return read;
}

std::string describe(const AxisPlacement& placement)
{
  if (placement.on_dcn)
    return "DCN";
  std::vector<std::string> parts;
  for (const TorusFactor& factor : placement.factors)
    parts.push_back(fmt::format("{}{}{}", axis_name(factor.axis),
                                factor.stride > 1 ? fmt::format(", every {}th chip", factor.stride) : "",
                                factor.closed ? "" : " (open)"));
  return fmt::format("{}", fmt::join(parts, ", "));
}

} // namespace podsim
