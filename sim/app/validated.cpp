#include "sim/app/validated.hpp"

#include "sim/core/reader.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace podsim {

ErrorBar validated_error(const Catalogue& catalogue, const std::string& family)
{
  const std::string file = catalogue.file(Shelf::scenarios, "validation");
  ErrorBar bar;
  bar.family = family;
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    bar.missing = file + " is missing";
    return bar;
  }
  // A report is not lost for the sake of its error bar.
  try {
    const Json json = parse_json_file(file);
    for (const Json& row : json.at("families"))
      if (row.at("family") == family && row.at("count") > 0)
        bar = {family, row.at("count"), row.at("mean_abs_error"), row.at("max_abs_error"), ""};
  } catch (const std::exception&) {
    bar.missing = file + " is not a result of podsim validate --json";
  }
  return bar;
}

} // namespace podsim
