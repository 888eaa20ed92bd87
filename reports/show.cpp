#include "reports/show.hpp"

#include "reports/text.hpp"

#include <fmt/format.h>

namespace podsim {

Page to_text(const Overview& overview, const Style& style)
{
  const Evaluation& r = overview.description;
  Page text           = style.bold(lay("{}", r.scenario)) + "\n";
  text += lay("  model     {}\n  machine   {}\n  mesh      {}\n", r.model, r.machine, r.mesh);
  if (overview.model.parameters > 0) {
    text +=
        lay("  FLOPs     {:.4g}e12 a token in the model, {:.4g}e12 with what is recomputed; {:.4g}e12 are executed\n",
            overview.flops.model() / 1e12, overview.flops.hardware() / 1e12, overview.flops.executed / 1e12);
    text += lay("  parameters {:.0f}\n", overview.model.parameters);
    text += memory_text(*r.memory, r.capacity);
  }
  text += remark_lines(r);
  if (r.status != Status::ok)
    text += style.bold("  cannot run ") + lay("{}\n", r.reason);
  text += lay("  classes   {} of {}s that cannot be told apart\n", overview.classes.size(), r.device);
  for (const DeviceClass& own : overview.classes)
    if (overview.classes.size() <= 16)
      text += lay("            {0} {1}{2} like {1} {3}\n", own.devices, r.device, own.devices == 1 ? "" : "s",
                  own.representative);
  for (const BlockRow& block : overview.blocks) {
    if (block.collectives.empty())
      continue;
    text += "\n" +
            style.bold(
                lay("  collectives of \"{}\"{}", block.name, block.count > 1 ? lay(", {} times", block.count) : "")) +
            "\n";
    for (const CollectiveRow& row : block.collectives)
      text += lay("    {:<48}{:<12}{:>10} {:>9}{}\n", row.name, row.axes, format(row.full), format(row.alone),
                  row.asynchronous ? "  asynchronous" : "");
  }
  text += style.dim(lay("    (size: the whole tensor on one {}; time: alone on its links)\n", r.device));
  text += "\n" + style.bold("  values, as resolved") + style.dim(" (sources of constants: run --json)") + "\n";
  for (const auto& [path, value] : overview.values)
    text += lay("    {:<44} {}\n", path, value);
  return text;
}

} // namespace podsim
