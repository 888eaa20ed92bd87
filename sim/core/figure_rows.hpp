#pragma once
// The rows of the table of figures: the vocabulary, and behind it the way from an evaluation to the number.
//
// Two rooms read this: sim/core/figures.cpp takes the vocabulary, which reading a scenario needs already, and
// sim/evaluate/figures.cpp the way to the number. That way is written as templates because this room is below the one
// that has evaluations: it is compiled there alone.
//
// The order is that of the JSON of a run.

#include "sim/core/figures.hpp"

#include <optional>

namespace podsim::figure_rows {

// Ways to a number, of what was simulated at all and of training steps alone; each from the metrics, where it has
// conventions also from how FLOPs are counted.
template <class Get> auto of_metrics(const Get& get)
{
  return [get](const auto& run, Counting counting) -> std::optional<double> {
    if (!run.metrics)
      return {};
    if constexpr (requires { get(*run.metrics, counting); })
      return get(*run.metrics, counting);
    else
      return get(*run.metrics);
  };
}

template <class Get> auto of_a_step(const Get& get)
{
  return [way = of_metrics(get)](const auto& run, Counting counting) -> std::optional<double> {
    return run.metrics && run.metrics->tokens_per_step > 0 ? way(run, counting) : std::nullopt;
  };
}

// From the evaluation itself; with metrics, or they are not of a run.
template <class Get> auto of_evaluation(const Get& get)
{
  return [get](const auto& run, Counting) -> std::optional<double> { return get(run); };
}

inline auto of_the_plan()
{
  return [](const auto&, Counting) { return std::optional<double>(); };
}

constexpr auto number = [](const auto& quantity) {
  return quantity ? std::optional(quantity->value()) : std::optional<double>();
};

namespace conventions {

using Names = std::vector<std::pair<std::string, Counting>>;

inline Names of_model()
{
  return {{"palm", Counting::palm},
          {"6N", Counting::six_n},
          {"6N causal", Counting::six_n_causal},
          {"2N", Counting::two_n},
          {"palm without lookup", Counting::palm_without_lookup},
          {"6N without lookup", Counting::six_n_without_lookup},
          {"6N causal without lookup", Counting::six_n_causal_without_lookup}};
}

// podsim's own HFU is of what is executed.
inline Names of_hardware()
{
  return {{"executed", Counting::executed},
          {"palm", Counting::palm_hardware},
          {"8N", Counting::eight_n},
          {"96Bslh2", Counting::narayanan}};
}

inline Names of_hardware_count()
{
  return {{"palm", Counting::palm_hardware},
          {"executed", Counting::executed},
          {"8N", Counting::eight_n},
          {"96Bslh2", Counting::narayanan}};
}

// Of all devices on average, or of the stage that waits least: then what a slower stage makes others wait is none.
inline Names of_bubbles()
{
  return {{"none", Counting::none}, {"slowest stage", Counting::slowest_stage}};
}

// TFLOP/s are given of either kind, so the one that PaLM's formula leaves open says so.
inline Names of_either()
{
  return {{"palm", Counting::palm},
          {"palm hardware", Counting::palm_hardware},
          {"6N", Counting::six_n},
          {"6N causal", Counting::six_n_causal},
          {"2N", Counting::two_n},
          {"8N", Counting::eight_n},
          {"96Bslh2", Counting::narayanan},
          {"executed", Counting::executed},
          {"palm without lookup", Counting::palm_without_lookup},
          {"6N without lookup", Counting::six_n_without_lookup},
          {"6N causal without lookup", Counting::six_n_causal_without_lookup}};
}

} // namespace conventions

template <class Add> void machine_and_time(const Add& add)
{
  using enum Listing;
  using enum Direction;
  add({.name   = "chips",
       .label  = "chips",
       .form   = Form::count,
       .better = less_is_better,
       .in     = study | stored | comparison},
      of_metrics([](const auto& m) { return m.chips; }));
  add({.name      = "step_time",
       .json_name = "step_time_s",
       .label     = "step time",
       .units     = {{"s", 1}, {"ms", 1e-3}},
       .form      = Form::time,
       .better    = less_is_better,
       .in        = published | study | stored | json | gate | comparison | report},
      of_metrics([](const auto& m) { return m.step_time.value(); }));
  add({.name      = "achieved_flops",
       .json_name = "achieved_flops_per_s",
       .label     = "FLOP rate",
       .units     = {{"TFLOP/s", 1e12}},
       .better    = more_is_better,
       .family    = "micro-benchmarks",
       .in        = published | json | gate | report},
      of_metrics([](const auto& m) { return number(m.achieved_flops); }));
  add({.name      = "achieved_bandwidth",
       .json_name = "achieved_bytes_per_s",
       .label     = "bandwidth",
       .units     = {{"GB/s", 1e9}},
       .form      = Form::bandwidth,
       .better    = more_is_better,
       .family    = "micro-benchmarks",
       .in        = published | json | gate | report},
      of_metrics([](const auto& m) { return number(m.achieved_bandwidth); }));
}

template <class Add> void rates(const Add& add)
{
  using enum Listing;
  using enum Direction;
  add({.name   = "tokens_per_s",
       .label  = "tokens/s",
       .units  = {{"tokens/s", 1}},
       .form   = Form::rate,
       .better = more_is_better,
       .in     = published | study | stored | json | gate | comparison | report},
      of_a_step([](const auto& m) { return m.tokens_per_s; }));
  add({.name   = "tokens_per_s_per_chip",
       .label  = "tokens/s a chip",
       .units  = {{"tokens/s", 1}},
       .form   = Form::rate,
       .better = more_is_better,
       .in     = published | study | stored | json | gate | comparison | report},
      of_a_step([](const auto& m) { return m.tokens_per_s / m.chips; }));
  add({.name   = "sequences_per_s",
       .label  = "sequences/s",
       .units  = {{"sequences/s", 1}},
       .form   = Form::rate,
       .better = more_is_better,
       .in     = published | stored},
      of_a_step([](const auto& m) { return m.tokens_per_s / static_cast<double>(m.model.sequence); }));
  add({.name   = "sequences_per_s_per_chip",
       .label  = "sequences/s a chip",
       .units  = {{"sequences/s", 1}},
       .form   = Form::rate,
       .better = more_is_better,
       .in     = published | stored},
      of_a_step([](const auto& m) { return m.tokens_per_s / static_cast<double>(m.model.sequence) / m.chips; }));
  add({.name = "tokens_per_step", .label = "tokens a step", .form = Form::count, .in = json},
      of_a_step([](const auto& m) { return m.tokens_per_step; }));
}

template <class Add> void shares(const Add& add)
{
  using enum Listing;
  using enum Direction;
  add({.name        = "mfu",
       .label       = "MFU",
       .units       = {{"%", 0.01}},
       .conventions = conventions::of_model(),
       .form        = Form::percent,
       .better      = more_is_better,
       .in          = published | study | stored | json | gate | comparison | report},
      of_a_step([](const auto& m, Counting counting) { return utilisation(m, m.flops.counted(counting)); }));
  add({.name   = "mfu_without_attention",
       .label  = "MFU, 6N",
       .form   = Form::percent,
       .better = more_is_better,
       .in     = json},
      of_a_step([](const auto& m) { return m.mfu_without_attention; }));
  add({.name        = "hfu",
       .label       = "HFU",
       .units       = {{"%", 0.01}},
       .conventions = conventions::of_hardware(),
       .form        = Form::percent,
       .better      = more_is_better,
       .in          = published | study | stored | json | gate | comparison | report},
      of_a_step([](const auto& m, Counting counting) { return utilisation(m, m.flops.counted(counting)); }));
  add({.name        = "tflops_per_chip",
       .label       = "TFLOP/s a chip",
       .units       = {{"TFLOP/s", 1e12}},
       .conventions = conventions::of_either(),
       .form        = Form::tenths,
       .better      = more_is_better,
       .in          = published | stored},
      of_a_step([](const auto& m, Counting counting) { return m.tokens_per_s * m.flops.counted(counting) / m.chips; }));
  add({.name        = "bubble",
       .label       = "bubble",
       .units       = {{"%", 0.01}},
       .conventions = conventions::of_bubbles(),
       .form        = Form::percent,
       .better      = less_is_better,
       .rounding    = 1e-12,
       .in          = published | study | stored | json | gate},
      of_a_step([](const auto& m, Counting counting) {
        return counting == Counting::slowest_stage ? least_bubble(m) : m.bubble;
      }));
}

template <class Add> void parts_of_a_step(const Add& add)
{
  using enum Listing;
  using enum Direction;
  add({.name      = "layer_forward_time",
       .json_name = "layer_forward_s",
       .label     = "layer forward",
       .units     = {{"ms", 1e-3}},
       .better    = less_is_better,
       .in        = published | stored | json | gate},
      of_a_step([](const auto& m) { return number(m.layer_forward); })); // from its first operation to its last
  add({.name      = "layer_backward_time",
       .json_name = "layer_backward_s",
       .label     = "layer backward",
       .units     = {{"ms", 1e-3}},
       .better    = less_is_better,
       .in        = published | stored | json | gate},
      of_a_step([](const auto& m) { return number(m.layer_backward); })); // with what is recomputed in it
  add({.name = "parameters", .label = "parameters", .in = json},
      of_a_step([](const auto& m) { return m.model.parameters; }));
  add({.name = "active_parameters", .label = "parameters that a token meets", .in = json},
      of_a_step([](const auto& m) { return m.model.active_parameters; }));
  add({.name        = "model_flops_per_token",
       .label       = "model FLOPs",
       .units       = {{"TFLOP", 1e12}},
       .conventions = conventions::of_model(),
       .family      = "FLOPs",
       .in          = published | stored | json | gate},
      of_a_step([](const auto& m, Counting counting) { return m.flops.counted(counting); }));
  add({.name        = "hardware_flops_per_token",
       .label       = "hardware FLOPs",
       .units       = {{"TFLOP", 1e12}},
       .conventions = conventions::of_hardware_count(),
       .family      = "FLOPs",
       .in          = published | stored | json | gate},
      of_a_step([](const auto& m, Counting counting) { return m.flops.counted(counting); }));
  add({.name = "executed_flops_per_token", .label = "executed FLOPs", .in = json},
      of_a_step([](const auto& m) { return m.flops.executed; }));
  add({.name = "exposed", .label = "exposed", .form = Form::percent, .better = less_is_better, .in = study | stored},
      of_metrics([](const auto& m) { return exposed_share(m); }));
}

template <class Add> void needs(const Add& add)
{
  using enum Listing;
  using enum Direction;
  add({.name      = "energy_per_token",
       .json_name = "energy_per_token_j",
       .label     = "energy a token",
       .form      = Form::energy,
       .better    = less_is_better,
       .in        = study | stored | json | gate | comparison},
      of_evaluation([](const auto& run) { return run.energy_per_token; }));
  add({.name      = "memory",
       .json_name = "memory_per_chip_bytes",
       .label     = "memory",
       .form      = Form::size,
       .better    = less_is_better,
       .in        = study | stored | gate},
      of_evaluation(
          [](const auto& run) { return run.memory ? std::optional(run.memory->total().value()) : std::nullopt; }));
  add({.name    = "dropped_choices",
       .label   = "choices dropped",
       .form    = Form::percent,
       .better  = less_is_better,
       .of_some = true,
       .in      = study | stored | comparison},
      of_evaluation([](const auto& run) {
        return run.metrics && run.experts ? std::optional(run.experts->dropped) : std::nullopt;
      }));
  add({.name       = "dcn_burst",
       .json_name  = "dcn_burst_bits_per_s",
       .label      = "cross-pod burst",
       .units      = {{"Tb/s", 1e12 / 8}},
       .json_scale = 8,
       .in         = published | stored | gate},
      of_metrics(
          [](const auto& m) { return m.dcn_burst.value() > 0 ? std::optional(m.dcn_burst.value()) : std::nullopt; }));
  add({.name = "power", .label = "power of a chip", .in = stored}, // watts
      of_evaluation([](const auto& run) { return run.metrics ? number(run.supply.chip) : std::nullopt; }));
  add({.name = "pue", .label = "PUE", .in = stored},
      of_evaluation([](const auto& run) { return run.metrics ? run.supply.pue : std::nullopt; }));
  add({.name = "grid_intensity", .label = "t a MWh", .in = stored},
      of_evaluation([](const auto& run) { return run.metrics ? number(run.supply.grid_intensity) : std::nullopt; }));
}

template <class Add> void planned(const Add& add)
{
  using enum Direction;
  add({.name      = "days",
       .label     = "days",
       .form      = Form::tenths,
       .better    = less_is_better,
       .of_a_plan = true,
       .in        = Listing::study},
      of_the_plan());
  add({.name      = "chip_hours",
       .label     = "chip-hours",
       .form      = Form::thousands,
       .better    = less_is_better,
       .of_a_plan = true,
       .in        = Listing::study},
      of_the_plan());
  add({.name      = "energy",
       .label     = "MWh",
       .form      = Form::thousands,
       .better    = less_is_better,
       .of_a_plan = true,
       .in        = Listing::study},
      of_the_plan());
  add({.name      = "co2e",
       .label     = "tCO2e",
       .form      = Form::thousands,
       .better    = less_is_better,
       .of_a_plan = true,
       .in        = Listing::study},
      of_the_plan());
  add({.name      = "cost",
       .label     = "cost",
       .form      = Form::money,
       .better    = less_is_better,
       .of_a_plan = true,
       .in        = Listing::study},
      of_the_plan());
}

// Calls add(row, way to its number) for each figure.
template <class Add> void each_figure(const Add& add)
{
  machine_and_time(add);
  rates(add);
  shares(add);
  parts_of_a_step(add);
  needs(add);
  planned(add);
}

} // namespace podsim::figure_rows
