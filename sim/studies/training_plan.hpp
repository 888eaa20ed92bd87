#pragma once
// What a planner asks of a run: how long a budget of training tokens takes, and what it costs in chip-hours, energy,
// emissions and money.
//
//     days       = tokens / tokens_per_s / 86400
//     chip_hours = chips x days x 24
//     energy     = chip_hours x power x PUE              (MWh)
//     co2e       = energy x grid intensity               (t)
//     cost       = chip_hours x price of a chip-hour     (in the study's currency)
//
// Nothing is added for restarts, evaluation or idle chips: the rate is that of steps without a break.

#include "sim/core/figures.hpp"
#include "sim/core/reader.hpp"

#include <optional>
#include <string>

namespace podsim {

struct TrainingPlan {
  std::optional<double> tokens, price, pue;
  std::optional<Watts> power; // of a chip, with its share of the system
  std::optional<GridIntensity> grid_intensity;
  std::string currency; // of the price: "USD"
};

TrainingPlan read_plan(Reader plan);
TrainingPlan lay_over(const TrainingPlan& under,
                      const TrainingPlan& over); // what `over` says replaces what `under` says

// Adds what follows from the figures of a run ("chips", "tokens_per_s", and of its machine "power", "pue" and
// "grid_intensity", which the plan's own go before). What cannot be said is left out; without a PUE it is 1.
void add_planned(const TrainingPlan& plan, Figures& figures);

} // namespace podsim
