#pragma once
// The scenarios of a folder that a user names. Models, machines, studies, results and other JSON may lie beside them.

#include "scenarios/catalogue.hpp"

#include <string>
#include <vector>

namespace podsim {

struct ScenarioFiles {
  std::vector<std::string> scenarios, others; // sorted paths that begin with the folder's; others than podsim's own
};

// All JSON files below the folder. One that cannot be read as JSON counts as a scenario: whoever reads it says why.
ScenarioFiles scenario_files(const std::string& folder, const Catalogue& catalogue);

// "passed over a.json and 3 other files, which are no scenarios"; "" for none.
std::string passed_over(const std::vector<std::string>& others);

// Whether it is meant as one, with whatever mistakes. `file` is where it stands.
bool is_scenario(const Json& json, const std::string& file, const Catalogue& catalogue);

} // namespace podsim
