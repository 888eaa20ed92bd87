#include "topologies/machine.hpp"

#include "sim/core/number_hint.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace podsim {
namespace {

std::vector<std::int64_t> parse_shape(const Reader& slice, std::size_t dimensions)
{
  constexpr std::int64_t longest = 10'000; // rings are gone round step by step
  const std::string text         = slice.is_text() ? slice.text() : "";
  std::vector<std::int64_t> shape;
  const char* at  = text.data();
  const char* end = text.data() + text.size();
  bool more       = true;
  bool good       = true;
  while (more && good) {
    std::int64_t size     = 0;
    const auto [next, ec] = std::from_chars(at, end, size);
    more                  = next != end;
    good                  = ec == std::errc() && size >= 1 && size <= longest && (!more || *next == 'x');
    at                    = more ? next + 1 : end;
    shape.push_back(size);
  }
  if (!good || shape.size() != dimensions) {
    const std::string meant = as_shape(text);
    slice.misread(fmt::format("a slice shape of {} sizes up to {}, like \"{}\"", dimensions, longest,
                              dimensions == 3   ? "12x16x16"
                              : dimensions == 2 ? "16x16"
                                                : "16"),
                  !meant.empty() && meant != text ? fmt::format("; did you mean \"{}\"?", meant) : "");
    shape.assign(dimensions, 1);
  }
  return shape;
}

// How the pods of a machine form slices: of whole cubes that optical switches join, so that every axis closes, or
// inside one cube, where none does; or cut from a fixed torus, where an axis closes if it spans the whole of it.
struct SliceRule {
  std::int64_t cube = 0, closed_axis = 0; // one of them
  std::int64_t pod_chips = 0;
};

std::vector<bool> closed_axes(const Reader& slice, const std::vector<std::int64_t>& shape, const SliceRule& rule)
{
  std::vector<bool> closed;
  for (const std::int64_t size : shape)
    closed.push_back(size % (rule.cube > 0 ? rule.cube : rule.closed_axis) == 0);
  if (rule.cube > 0) {
    const bool cubes  = std::all_of(closed.begin(), closed.end(), [](bool one) { return one; });
    const bool inside = std::all_of(shape.begin(), shape.end(), [&](std::int64_t size) { return size <= rule.cube; });
    if (!cubes && !inside)
      slice.complain(fmt::format("{} cannot be formed: each size must be a multiple of {}, or all at most {}",
                                 fmt::join(shape, "x"), rule.cube, rule.cube));
    closed.assign(shape.size(), cubes);
  }
  double chips = 1;
  for (const std::int64_t size : shape)
    chips *= static_cast<double>(size);
  if (chips > static_cast<double>(rule.pod_chips))
    slice.complain(fmt::format("{} is {} chips; a pod has {}", fmt::join(shape, "x"), chips, rule.pod_chips));
  return closed;
}

void read_torus(Reader& machine, Machine& read)
{
  Reader ici            = machine.at("ici");
  const auto dimensions = static_cast<std::size_t>(ici.constant("dimensions").count(1, 3));
  SliceRule rule;
  if (ici.find("closed_axis"))
    rule.closed_axis = ici.constant("closed_axis").count(1, 1024);
  else
    rule.cube = ici.constant("cube").count(1, 64);
  rule.pod_chips     = ici.constant("pod_chips").count(1, 1'000'000);
  read.cube          = rule.cube;
  read.pod_chips     = rule.pod_chips;
  read.ici.bandwidth = ici.constant("link_bandwidth").quantity<PerSecond<ByteUnit>>() /
                       static_cast<double>(read.chip.devices); // the devices of a chip share its links
  read.ici.efficiency = ici.constant("link_efficiency").fraction();
  read.ici.latency    = ici.constant("hop_latency").quantity<SecondUnit>();
  ici.finish();

  if (read.chip.devices > 1) {
    Reader cores         = machine.at("cores");
    read.local.bandwidth = cores.constant("bandwidth").quantity<PerSecond<ByteUnit>>();
    read.local.latency   = cores.constant("latency").quantity<SecondUnit>();
    cores.finish();
    read.lattice.axes.push_back({"core", AxisKind::local, read.chip.devices, true});
    read.host.block.push_back(read.chip.devices);
  }
  const Reader slice = machine.at("slice");
  std::vector<std::int64_t> shape(dimensions, 1);
  if (ici.sound()) // else nobody knows how many sizes there must be
    shape = parse_shape(slice, dimensions);
  std::vector<bool> closed(shape.size());
  if (ici.sound() && slice.sound())
    closed = closed_axes(slice, shape, rule);
  if (const auto twisted = machine.find("twisted"))
    read.lattice.twisted = twisted->flag();
  if (read.lattice.twisted) {
    if (rule.cube == 0 || !closed.front() || symmetric_twist(shape).empty())
      machine.at("twisted").complain(fmt::format(
          "{} cannot be twisted: only k x k x 2k and k x 2k x 2k of whole cubes can", fmt::join(shape, "x")));
    for (const WrapShift& shift : symmetric_twist(shape))
      closed[shift.axis] = false; // as a ring
  }
  const std::vector<std::string> letters = {"x", "y", "z"};
  for (std::size_t axis = 0; axis < dimensions; ++axis)
    read.lattice.axes.push_back({letters[axis], AxisKind::ici, shape[axis], closed[axis]});

  Reader host  = machine.at("host");
  Reader block = host.constant("chips");
  for (const Reader& size : block.elements())
    read.host.block.push_back(size.count(1, 64));
  if (ici.sound() && read.host.block.size() != read.lattice.axes.size())
    block.misread(fmt::format("{} sizes, one a torus axis", dimensions));
  read.host.pcie_bandwidth =
      host.constant("pcie_bandwidth").quantity<PerSecond<ByteUnit>>() / static_cast<double>(read.chip.devices);
  read.host.nic_bandwidth = host.constant("nic_bandwidth").quantity<PerSecond<ByteUnit>>();
  host.finish();
}

std::vector<std::int64_t> divisors(std::int64_t number)
{
  std::vector<std::int64_t> all;
  for (std::int64_t i = 1; i <= number; ++i)
    if (number % i == 0)
      all.push_back(i);
  return all;
}

void read_nodes(Reader& machine, Machine& read)
{
  Reader nvlink           = machine.at("nvlink");
  const Reader size       = nvlink.constant("gpus");
  const std::int64_t gpus = size.count(1, 1024);
  read.local.bandwidth    = nvlink.constant("bandwidth").quantity<PerSecond<ByteUnit>>();
  read.local.latency      = nvlink.constant("latency").quantity<SecondUnit>();
  nvlink.finish();
  read.lattice.axes.push_back({"nvlink", AxisKind::local, gpus, true});

  Reader host             = machine.at("host");
  const Reader nics       = host.constant("nics");
  const std::int64_t each = nics.count(1, 1024);
  if (gpus % each != 0) // the catalogue's number is not to blame for the user's
    (size.of_the_user() && !nics.of_the_user() ? size : nics)
        .complain(fmt::format("a node of {} GPU{} cannot share {} NICs evenly; nvlink.gpus may be a multiple of "
                              "host.nics, which is {}, or host.nics may be {}",
                              gpus, gpus == 1 ? "" : "s", each, each, fmt::join(divisors(gpus), ", ")));
  read.host.block          = {gpus / each};
  read.host.pcie_bandwidth = host.constant("pcie_bandwidth").quantity<PerSecond<ByteUnit>>();
  read.host.nic_bandwidth  = host.constant("nic_bandwidth").quantity<PerSecond<ByteUnit>>();
  host.finish();
}

} // namespace

std::int64_t Machine::devices_per_host() const
{
  std::int64_t product = 1;
  for (std::size_t axis = 0; axis < lattice.axes.size(); ++axis)
    product *= std::min(host.block[axis], lattice.axes[axis].size);
  return product;
}

std::vector<std::int64_t> Machine::devices_of_host(std::int64_t of) const
{
  std::vector<std::int64_t> all{0};
  std::int64_t step = 1;
  for (std::size_t axis = 0; axis < lattice.axes.size(); ++axis) {
    const std::int64_t size  = lattice.axes[axis].size;
    const std::int64_t hosts = (size + host.block[axis] - 1) / host.block[axis];
    const std::int64_t first = of % hosts * host.block[axis];
    std::vector<std::int64_t> more;
    for (std::int64_t at = first; at < std::min(first + host.block[axis], size); ++at)
      for (const std::int64_t device : all)
        more.push_back(device + at * step);
    all = std::move(more);
    of /= hosts;
    step *= size;
  }
  return all;
}

std::int64_t Machine::host_of(std::int64_t device) const
{
  std::int64_t index = 0;
  for (std::size_t axis = lattice.axes.size(); axis-- > 0;) {
    const std::int64_t hosts = (lattice.axes[axis].size + host.block[axis] - 1) / host.block[axis];
    index                    = index * hosts + lattice.coordinate(device, axis) / host.block[axis];
  }
  return index;
}

const Wire& Machine::wire(std::size_t axis) const
{
  return lattice.axes[axis].kind == AxisKind::local ? local : ici;
}

RoutedLattice Machine::torus() const
{
  RoutedLattice torus;
  for (const LatticeAxis& axis : lattice.axes)
    if (axis.kind == AxisKind::ici) {
      torus.shape.push_back(axis.size);
      torus.closed.push_back(axis.closed || lattice.twisted);
    }
  if (lattice.twisted)
    torus.twist = symmetric_twist(torus.shape);
  return torus;
}

std::string Machine::shape() const
{
  std::vector<std::int64_t> torus;
  for (const LatticeAxis& axis : lattice.axes)
    if (axis.kind == AxisKind::ici)
      torus.push_back(axis.size);
  if (torus.empty())
    return fmt::format("{} node{} of {}", pods(), pods() == 1 ? "" : "s", lattice.axes.front().size);
  return fmt::format("{} pod{} of {}{}", pods(), pods() == 1 ? "" : "s", fmt::join(torus, "x"),
                     lattice.twisted ? ", twisted" : "");
}

std::string Machine::axis_name(std::size_t axis) const
{
  if (axis != dcn_axis())
    return lattice.axes[axis].name;
  return lattice.axes.front().name == "nvlink" ? "node" : "pod";
}

namespace {

std::string place(const Machine& machine, std::int64_t device, std::size_t from_axis)
{
  const std::size_t dcn = machine.dcn_axis();
  const auto on         = [&](std::size_t axis) {
    return fmt::format("{} {}", machine.axis_name(axis), machine.lattice.coordinate(device, axis));
  };
  std::string text = machine.pods() > 1 ? on(dcn) : "";
  for (std::size_t axis = from_axis; axis < dcn; ++axis)
    if (machine.lattice.axes[axis].size > 1)
      text += (text.empty() ? "" : ", ") + on(axis);
  return text;
}

} // namespace

std::string Machine::describe(std::int64_t device) const
{
  return place(*this, device, 0);
}

std::string Machine::describe_chip(std::int64_t device) const
{
  return place(*this, device, chip.devices > 1 ? 1 : 0); // the cores are the first axis
}

Machine read_machine(Reader machine, const Machine* before)
{
  Machine read;
  read.name          = machine.at("name").text();
  Reader chip        = machine.at("chip");
  read.chip          = before && chip.taken_as_before() ? before->chip : read_chip(chip);
  const bool nodes   = machine.find("nvlink").has_value();
  const char* copies = nodes ? "nodes" : "pods";
  if (nodes)
    read_nodes(machine, read);
  else
    read_torus(machine, read);
  std::int64_t pods = 1;
  if (const auto count = machine.find(copies))
    pods = count->count(1, 65'536);
  if (constexpr std::int64_t most = 16'000'000; pods * read.devices() > most) // a run keeps some bytes for each
    machine.at(copies).complain(
        fmt::format("{} {} of {} are more than {} devices", pods, copies, read.devices(), most));
  read.lattice.axes.push_back({"dcn", AxisKind::dcn, pods, true});
  read.host.block.push_back(1);
  Reader dcn       = machine.at("dcn");
  read.dcn_latency = dcn.constant("latency").quantity<SecondUnit>();
  if (dcn.find("pod_spread")) {
    const Reader spread = dcn.constant("pod_spread");
    read.pod_spread     = spread.number();
    if (!(read.pod_spread >= 0 && read.pod_spread < 1))
      spread.misread("a number from 0 to below 1");
  }
  dcn.finish();
  if (auto site = machine.find("site")) {
    if (site->find("pue")) {
      const Reader pue = site->constant("pue");
      read.pue         = pue.number();
      if (!(read.pue >= 1 && read.pue <= 10))
        pue.misread("a number from 1 to 10");
    }
    if (site->find("grid_intensity"))
      read.grid_intensity = site->constant("grid_intensity").quantity<GridUnit>();
    site->finish();
  }
  machine.finish();
  return read;
}

std::string describe(const AxisPlacement& placement, const Machine& machine)
{
  std::vector<std::string> parts;
  for (const AxisFactor& factor : placement) {
    const LatticeAxis& axis = machine.lattice.axes[factor.axis];
    const bool whole        = factor.length == axis.size;
    parts.push_back(fmt::format("{}{}{}", axis.kind == AxisKind::dcn ? "DCN" : axis.name,
                                factor.stride > 1 ? fmt::format(", every {}th", factor.stride)
                                : whole           ? ""
                                                  : fmt::format(", {} in a row", factor.length),
                                factor.closed || !whole ? "" : " (open)"));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

} // namespace podsim
