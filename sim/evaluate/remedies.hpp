#pragma once
// What would make a scenario fit that needs more memory than a chip has.

#include "sim/evaluate/prepare.hpp"

#include <functional>
#include <optional>
#include <string>

namespace podsim {

// How long a step of a changed scenario takes, where that is quickly known.
using TimeStep = std::function<std::optional<Seconds>(const Scenario&)>;

// "it would fit with workload.micro_batch=1 (27.0 GiB, 4.31 s a step) or ...", what costs least first: a context axis
// for long sequences, smaller micro-batches, more remat, a smaller batch; two of these together where none does by
// itself.
std::string remedies(const Prepared& prepared, const TimeStep& time, PreparedBefore* before);

} // namespace podsim
