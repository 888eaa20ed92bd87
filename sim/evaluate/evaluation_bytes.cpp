#include "sim/evaluate/evaluation_bytes.hpp"

#include <cstring>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace podsim {
namespace {

template <class T> struct IsQuantity : std::false_type {
};
template <class Unit> struct IsQuantity<Quantity<Unit>> : std::true_type {
};

// What goes as it is in memory.
template <class T> constexpr bool plain = std::is_arithmetic_v<T> || std::is_enum_v<T> || IsQuantity<T>::value;

class Writer {
public:
  static constexpr bool reads = false;
  std::string bytes;

  template <class... T> void operator()(const T&... values) { (one(values), ...); }

private:
  template <class T> void raw(const T& value)
  {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void one(const std::string& text)
  {
    raw(text.size());
    bytes.append(text);
  }
  void one(const Figure* row) { raw(row - figure_table().data()); }
  template <class A, class B> void one(const std::pair<A, B>& pair) { (*this)(pair.first, pair.second); }
  template <class T> void one(const std::optional<T>& value)
  {
    raw(value.has_value());
    if (value)
      one(*value);
  }
  template <class T> void one(const std::vector<T>& list)
  {
    raw(list.size());
    for (const T& element : list)
      one(element);
  }
  template <class T> void one(const T& value)
  {
    if constexpr (plain<T>)
      raw(value);
    else
      members(*this, value);
  }
};

class ByteReader {
public:
  static constexpr bool reads = true;
  explicit ByteReader(const std::string& bytes) : at_(bytes.data()), left_(bytes.size()) {}

  template <class... T> void operator()(T&... values) { (one(values), ...); }
  void finish() const
  {
    if (left_ > 0)
      throw std::logic_error("there is more than an evaluation");
  }

private:
  const char* take(std::size_t size)
  {
    if (size > left_)
      throw std::logic_error("an evaluation is cut short");
    left_ -= size;
    return std::exchange(at_, at_ + size);
  }
  template <class T> void raw(T& value) { std::memcpy(static_cast<void*>(&value), take(sizeof(T)), sizeof(T)); }
  std::size_t size()
  {
    std::size_t size = 0;
    raw(size);
    if (size > left_) // of anything that has so many parts there are at least so many bytes
      throw std::logic_error("an evaluation is cut short");
    return size;
  }
  void one(std::string& text)
  {
    const std::size_t length = size();
    text.assign(take(length), length);
  }
  void one(const Figure*& row)
  {
    std::ptrdiff_t index = 0;
    raw(index);
    row = &figure_table().at(static_cast<std::size_t>(index));
  }
  template <class A, class B> void one(std::pair<A, B>& pair) { (*this)(pair.first, pair.second); }
  template <class T> void one(std::optional<T>& value)
  {
    bool has = false;
    raw(has);
    value.reset();
    if (has)
      one(value.emplace());
  }
  template <class T> void one(std::vector<T>& list)
  {
    list.clear();
    list.resize(size());
    for (T& element : list)
      one(element);
  }
  template <class T> void one(T& value)
  {
    if constexpr (plain<T>)
      raw(value);
    else
      members(*this, value);
  }

  const char* at_;
  std::size_t left_;
};

// The members of each struct, for both directions. A binding names all of them, so that one that is forgotten, here or
// when a struct grows, does not compile.
template <class Stream, class T> using In = std::conditional_t<Stream::reads, T, const T>;

template <class Stream> void members(Stream& stream, In<Stream, UsedConstant>& constant)
{
  auto& [path, value, source, calibrated_on, chips] = constant;
  stream(path, value, source, calibrated_on, chips);
}

template <class Stream> void members(Stream& stream, In<Stream, ForeignConstant>& constant)
{
  auto& [path, chip] = constant;
  stream(path, chip);
}

template <class Stream> void members(Stream& stream, In<Stream, PublishedFigure>& figure)
{
  auto& [id, metric, value, unit, base_units, convention, counting, statistic, calibration, source, relative_to,
         relative_file, family, run] = figure;
  stream(id, metric, value, unit, base_units, convention, counting, statistic, calibration, source, relative_to,
         relative_file, family, run);
}

template <class Stream> void members(Stream& stream, In<Stream, Memory>& memory)
{
  auto& [parameters, optimizer_state, gradients, saved_activations, gathered_weights, layer_gradients, workspace] =
      memory;
  stream(parameters, optimizer_state, gradients, saved_activations, gathered_weights, layer_gradients, workspace);
}

template <class Stream> void members(Stream& stream, In<Stream, ModelShape>& shape)
{
  auto& [parameters, active_parameters, layers, heads, head_dim, sequence, d_model, vocab, lookup_parameters,
         expert_layers, top_k, dropped] = shape;
  stream(parameters, active_parameters, layers, heads, head_dim, sequence, d_model, vocab, lookup_parameters,
         expert_layers, top_k, dropped);
}

template <class Stream> void members(Stream& stream, In<Stream, FlopsPerToken>& flops)
{
  auto& [weights, attention, repeated, lookup, executed, skipped, narayanan] = flops;
  stream(weights, attention, repeated, lookup, executed, skipped, narayanan);
}

template <class Stream> void members(Stream& stream, In<Stream, LinkUse>& link)
{
  auto& [name, sent, busy_fraction] = link;
  stream(name, sent, busy_fraction);
}

template <class Stream> void members(Stream& stream, In<Stream, Routing>& routing)
{
  auto& [choices, kept, dropped] = routing;
  stream(choices, kept, dropped);
}

template <class Stream> void members(Stream& stream, In<Stream, Metrics>& metrics)
{
  auto& [step_time, tokens_per_step, tokens_per_s, mfu, mfu_without_attention, hfu, device_use, routing, model, flops,
         breakdowns, critical, dcn_burst, links, chips, peak, bubble, layer_forward, layer_backward, bisection,
         achieved_bandwidth, achieved_flops] = metrics;
  stream(step_time, tokens_per_step, tokens_per_s, mfu, mfu_without_attention, hfu, device_use, routing, model, flops,
         breakdowns, critical, dcn_burst, links, chips, peak, bubble, layer_forward, layer_backward, bisection,
         achieved_bandwidth, achieved_flops);
}

template <class Stream> void members(Stream& stream, In<Stream, DeviceClass>& one)
{
  auto& [representative, devices] = one;
  stream(representative, devices);
}

template <class Stream> void members(Stream& stream, In<Stream, SimulationInfo>& info)
{
  auto& [chips, devices, classes, activities, repeated_layers, repeated_micro_batches, folded, chunked, fold_stopped,
         by_recurrence, granularity, engine, wall, class_list] = info;
  stream(chips, devices, classes, activities, repeated_layers, repeated_micro_batches, folded, chunked, fold_stopped,
         by_recurrence, granularity, engine, wall, class_list);
}

template <class Stream> void members(Stream& stream, In<Stream, FaultCost>& cost)
{
  auto& [name, step_time, mfu] = cost;
  stream(name, step_time, mfu);
}

template <class Stream> void members(Stream& stream, In<Stream, FaultReport>& report)
{
  auto& [healthy_step, healthy_mfu, each, slowest, bound, at_least] = report;
  auto& [devices, one]                                              = slowest;
  stream(healthy_step, healthy_mfu, each, devices, one, bound, at_least);
}

template <class Stream> void members(Stream& stream, In<Stream, ErrorBar>& bar)
{
  auto& [family, count, mean, largest, missing] = bar;
  stream(family, count, mean, largest, missing);
}

template <class Stream> void members(Stream& stream, In<Stream, ExpertUse>& use)
{
  auto& [count, top_k, dropped] = use;
  stream(count, top_k, dropped);
}

template <class Stream> void members(Stream& stream, In<Stream, Supply>& supply)
{
  auto& [chip, pue, grid_intensity] = supply;
  stream(chip, pue, grid_intensity);
}

template <class Stream> void members(Stream& stream, In<Stream, Evaluation>& evaluation)
{
  auto& [scenario, hash, model, machine, mesh, device, status, reason, memory, capacity, metrics, simulation, faults,
         published, error_bar, energy_per_token, supply, constants, foreign, experts, chip, files] = evaluation;
  stream(scenario, hash, model, machine, mesh, device, status, reason, memory, capacity, metrics, simulation, faults,
         published, error_bar, energy_per_token, supply, constants, foreign, experts, chip, files);
}

} // namespace

std::string to_bytes(const Evaluation& evaluation)
{
  Writer writer;
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
