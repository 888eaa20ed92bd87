#include "sim/core/published.hpp"

#include <cctype>

namespace podsim {
const std::vector<std::string>& family_names()
{
  static const std::vector<std::string> names{"TPU v2",  "TPU v3", "TPU v4", "TPU v5e", "TPU v5p", "TPU v6e",
                                              "TPU v7x", "V100",   "A100",   "H100",    "FLOPs",   "micro-benchmarks"};
  return names;
}

bool is_chip(const std::string& chip, const std::string& name)
{
  const std::size_t at = chip.find(name);
  if (at == std::string::npos)
    return false;
  const std::size_t end = at + name.size(); // "TPU v4" is not in "TPU v4i"
  return end == chip.size() || std::isalnum(static_cast<unsigned char>(chip[end])) == 0;
}

std::string chip_family(const std::string& chip)
{
  for (const std::string& name : family_names())
    if (is_chip(chip, name))
      return name;
  return chip;
}

std::string usual_family(const Figure& metric, const std::string& chip)
{
  return metric.family.empty() ? chip_family(chip) : metric.family;
}

} // namespace podsim
