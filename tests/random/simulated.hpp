#pragma once
// What checks share: a drawn scenario through podsim's library, in one of the ways to simulate it.

#include "scenarios/resolve.hpp"
#include "sim/evaluate/evaluate.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace podsim::test {

const Catalogue& drawn_from();
Document document_of(const nlohmann::json& scenario);

// Kept for whoever asks of the same scenario in the same way: a process of one draw.
const Prepared& prepared_from(const nlohmann::json& scenario);

struct Way {
  Granularity granularity                         = Granularity::automatic;
  bool explicit_devices                           = false;
  bool skips                                      = true;
  friend auto operator<=>(const Way&, const Way&) = default;
};

struct Measured {
  Trace trace;
  Metrics metrics;
  bool on_grid = true; // all times are whole ticks: they are but for where three flows share a link
};

const Measured& measured(const Prepared& prepared, const Way& way);
double step_of(const nlohmann::json& scenario, const Way& way);

// "step 1.1 against 1 (+10 %)".
std::string unequal(const std::string& what, double a, double b);

// The first figure in which two runs of one scenario differ, by a bit, or off the clock's grid by more than 1e-12; ""
// where none does.
std::string difference(const Measured& a, const Measured& b);

// The operations that begin or end at other times in two traces of one program, the earliest first; a line each.
std::vector<std::string> first_differences(const Prepared& prepared, const Way& one, const Way& other);

} // namespace podsim::test
