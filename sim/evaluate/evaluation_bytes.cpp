#include "sim/evaluate/evaluation_bytes.hpp"

#include "sim/core/bytes.hpp"

namespace podsim {

// A row of the table of figures, of which both processes have the same.
template <class Stream> void members(Stream& stream, Member<Stream, const Figure*>& row)
{
  if constexpr (Stream::reads) {
    std::ptrdiff_t index = 0;
    stream(index);
    row = &figure_table().at(static_cast<std::size_t>(index));
  } else {
    stream(row - figure_table().data());
  }
}

template <class Stream> void members(Stream& stream, Member<Stream, UsedConstant>& constant)
{
  auto& [path, value, source, calibrated_on, chips] = constant;
  stream(path, value, source, calibrated_on, chips);
}

template <class Stream> void members(Stream& stream, Member<Stream, ForeignConstant>& constant)
{
  auto& [path, chip] = constant;
  stream(path, chip);
}

template <class Stream> void members(Stream& stream, Member<Stream, PublishedFigure>& figure)
{
  auto& [id, metric, value, unit, base_units, convention, counting, statistic, calibration, source, relative_to,
         relative_file, family, run] = figure;
  stream(id, metric, value, unit, base_units, convention, counting, statistic, calibration, source, relative_to,
         relative_file, family, run);
}

template <class Stream> void members(Stream& stream, Member<Stream, Memory>& memory)
{
  auto& [parameters, optimizer_state, gradients, saved_activations, gathered_weights, layer_gradients, workspace] =
      memory;
  stream(parameters, optimizer_state, gradients, saved_activations, gathered_weights, layer_gradients, workspace);
}

template <class Stream> void members(Stream& stream, Member<Stream, ModelShape>& shape)
{
  auto& [parameters, active_parameters, layers, heads, head_dim, sequence, d_model, vocab, lookup_parameters,
         expert_layers, top_k, dropped] = shape;
  stream(parameters, active_parameters, layers, heads, head_dim, sequence, d_model, vocab, lookup_parameters,
         expert_layers, top_k, dropped);
}

template <class Stream> void members(Stream& stream, Member<Stream, FlopsPerToken>& flops)
{
  auto& [weights, attention, repeated, lookup, executed, skipped, narayanan] = flops;
  stream(weights, attention, repeated, lookup, executed, skipped, narayanan);
}

template <class Stream> void members(Stream& stream, Member<Stream, LinkUse>& link)
{
  auto& [name, sent, busy_fraction] = link;
  stream(name, sent, busy_fraction);
}

template <class Stream> void members(Stream& stream, Member<Stream, Routing>& routing)
{
  auto& [choices, kept, dropped] = routing;
  stream(choices, kept, dropped);
}

template <class Stream> void members(Stream& stream, Member<Stream, Metrics>& metrics)
{
  auto& [step_time, tokens_per_step, tokens_per_s, mfu, mfu_without_attention, hfu, device_use, routing, model, flops,
         breakdowns, critical, dcn_burst, links, chips, peak, bubble, layer_forward, layer_backward, bisection,
         achieved_bandwidth, achieved_flops] = metrics;
  stream(step_time, tokens_per_step, tokens_per_s, mfu, mfu_without_attention, hfu, device_use, routing, model, flops,
         breakdowns, critical, dcn_burst, links, chips, peak, bubble, layer_forward, layer_backward, bisection,
         achieved_bandwidth, achieved_flops);
}

template <class Stream> void members(Stream& stream, Member<Stream, DeviceClass>& one)
{
  auto& [representative, devices] = one;
  stream(representative, devices);
}

template <class Stream> void members(Stream& stream, Member<Stream, SimulationInfo>& info)
{
  auto& [chips, devices, classes, activities, repeated_layers, repeated_micro_batches, folded, chunked, fold_stopped,
         by_recurrence, granularity, engine, wall, class_list] = info;
  stream(chips, devices, classes, activities, repeated_layers, repeated_micro_batches, folded, chunked, fold_stopped,
         by_recurrence, granularity, engine, wall, class_list);
}

template <class Stream> void members(Stream& stream, Member<Stream, FaultCost>& cost)
{
  auto& [name, step_time, mfu] = cost;
  stream(name, step_time, mfu);
}

template <class Stream> void members(Stream& stream, Member<Stream, FaultReport>& report)
{
  auto& [healthy_step, healthy_mfu, each, slowest, bound, at_least] = report;
  auto& [devices, one]                                              = slowest;
  stream(healthy_step, healthy_mfu, each, devices, one, bound, at_least);
}

template <class Stream> void members(Stream& stream, Member<Stream, ErrorBar>& bar)
{
  auto& [family, count, mean, largest, missing] = bar;
  stream(family, count, mean, largest, missing);
}

template <class Stream> void members(Stream& stream, Member<Stream, ExpertUse>& use)
{
  auto& [count, top_k, dropped] = use;
  stream(count, top_k, dropped);
}

template <class Stream> void members(Stream& stream, Member<Stream, Supply>& supply)
{
  auto& [chip, pue, grid_intensity] = supply;
  stream(chip, pue, grid_intensity);
}

template <class Stream> void members(Stream& stream, Member<Stream, Evaluation>& evaluation)
{
  auto& [scenario, hash, model, machine, mesh, device, status, reason, memory, capacity, metrics, simulation, faults,
         published, error_bar, energy_per_token, supply, constants, foreign, experts, chip, files] = evaluation;
  stream(scenario, hash, model, machine, mesh, device, status, reason, memory, capacity, metrics, simulation, faults,
         published, error_bar, energy_per_token, supply, constants, foreign, experts, chip, files);
}

std::string to_bytes(const Evaluation& evaluation)
{
  ByteWriter writer;
  writer(evaluation);
  return std::move(writer.bytes);
}

Evaluation evaluation_from_bytes(const std::string& bytes)
{
  ByteReader reader(bytes);
  Evaluation evaluation;
  reader(evaluation);
  reader.finish();
  return evaluation;
}

} // namespace podsim
