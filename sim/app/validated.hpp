#pragma once

#include "scenarios/catalogue.hpp"
#include "sim/metrics/validation.hpp"

namespace podsim {

// What the catalogue's scenarios/validation.json, a result of `podsim validate --json`, says of a family of chips; no
// cases where it says nothing.
ErrorBar validated_error(const Catalogue& catalogue, const std::string& family);

} // namespace podsim
