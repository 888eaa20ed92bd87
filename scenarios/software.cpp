#include "scenarios/software.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace podsim {
namespace {

const std::vector<std::pair<std::string, Dtype>>& dtypes()
{
  static const std::vector<std::pair<std::string, Dtype>> names{{"bf16", Dtype::bf16}, {"f32", Dtype::f32}};
  return names;
}

// A flag, or "activations": then their gradients go whole.
void read_scattered(const Reader& scattered, Transfers& transfers)
{
  transfers.scattered = scattered.is_text() ? scattered.choice<bool>({{"activations", true}}) : scattered.flag();
  transfers.scattered_gradients = !scattered.is_text() && transfers.scattered;
}

// How gradients of several micro-batches are added up and reduced, and how activations go from stage to stage; absent
// in software that knows neither.
void read_accumulation(Reader& software, Software& read)
{
  Gradients& gradients = read.compilation.gradients;
  if (software.find("gradient_accumulation"))
    gradients.accumulation =
        software.constant("gradient_accumulation")
            .choice<Accumulation>(
                {{"none", Accumulation::none}, {"fused", Accumulation::fused}, {"separate", Accumulation::separate}});
  if (software.find("accumulation_dtype"))
    gradients.accumulator = software.constant("accumulation_dtype").choice(dtypes());
  if (software.find("parameters_dtype"))
    read.precision.parameters = software.constant("parameters_dtype").choice(dtypes());
  if (software.find("reduce_gradients"))
    gradients.last_micro_batch_only =
        software.constant("reduce_gradients").choice<bool>({{"each micro-batch", false}, {"last micro-batch", true}});
  const auto bytes = [&](const char* field, double& read_bytes) {
    if (!software.find(field))
      return;
    const Reader given = software.constant(field);
    read_bytes         = given.number();
    if (!(read_bytes >= 0 && read_bytes <= 1000))
      given.misread("a number of bytes from 0 to 1000");
  };
  bytes("weight_gather_copies", read.compilation.copies.after_weight_gather);
  bytes("gradient_reduction_copies", read.compilation.copies.before_gradient_reduction);
  if (software.find("blocking_transfers"))
    read.compilation.transfers.blocking = software.constant("blocking_transfers").flag();
  if (software.find("scattered_transfers"))
    read_scattered(software.constant("scattered_transfers"), read.compilation.transfers);
  if (software.find("blocking_receives"))
    read.compilation.transfers.blocking_receives = software.constant("blocking_receives").flag();
  if (software.find("combined_collectives"))
    read.compilation.combines = software.constant("combined_collectives").flag();
}

// "unfused", or {"kernel": "fused", ...} with what the kernel reaches.
std::optional<FusedAttention> read_attention(Reader attention)
{
  const std::vector<std::pair<std::string, bool>> kernels{{"unfused", false}, {"fused", true}};
  if (attention.is_text()) {
    if (attention.choice<bool>(kernels))
      attention.fail("\"fused\" needs an object: {\"kernel\": \"fused\", \"causal\": ..., \"forward_efficiency\": ..., "
                     "\"backward_efficiency\": ...}");
    return std::nullopt;
  }
  const bool fused = attention.at("kernel").choice<bool>(kernels);
  FusedAttention kernel;
  if (fused) {
    kernel.skips_masked        = attention.constant("causal").choice<bool>({{"half", true}, {"full", false}});
    kernel.forward_efficiency  = attention.constant("forward_efficiency").fraction();
    kernel.backward_efficiency = attention.constant("backward_efficiency").fraction();
  }
  attention.finish();
  return fused ? std::optional(kernel) : std::nullopt;
}

Kernels read_kernels(Reader& software)
{
  Kernels kernels;
  if (const auto attention = software.find("attention"))
    kernels.attention = read_attention(*attention);
  if (software.find("element_wise"))
    kernels.element_wise = software.constant("element_wise")
                               .choice<ElementWise>({{"xla", ElementWise::xla}, {"kernels", ElementWise::kernels}});
  if (software.find("element_wise_overhead")) {
    const Reader overhead         = software.constant("element_wise_overhead");
    kernels.element_wise_overhead = overhead.number();
    if (!(kernels.element_wise_overhead >= 1 && kernels.element_wise_overhead <= 10))
      overhead.misread("a factor from 1 to 10");
  }
  return kernels;
}

} // namespace

const std::vector<std::pair<std::string, MultiAxis>>& multi_axis_names()
{
  static const std::vector<std::pair<std::string, MultiAxis>> names{{"sequential", MultiAxis::sequential},
                                                                    {"concurrent", MultiAxis::concurrent},
                                                                    {"pipelined", MultiAxis::pipelined}};
  return names;
}

Software read_software(Reader software, const Mesh& mesh, const ShardingRules& sharding)
{
  Software read;
  Overlap& overlap    = read.compilation.overlap;
  AxisMask& deferred  = read.compilation.gradients.after_backward;
  read.name           = software.at("name").text();
  Reader asynchronous = software.constant("asynchronous");
  for (const Reader& what : asynchronous.elements())
    overlap.*what.choice<bool Overlap::*>({{"weight gathers", &Overlap::weight_gathers},
                                           {"gradient reductions", &Overlap::gradient_reductions},
                                           {"activation reductions", &Overlap::activation_reductions},
                                           {"activation gathers", &Overlap::activation_gathers}}) = true;
  overlap.prefetch_layers = static_cast<int>(software.constant("prefetch_layers").count(0, 1000));
  read.collectives        = software.constant("multi_axis_collectives").choice(multi_axis_names());
  if (software.find("dcn_all_reduce"))
    read.collectives.dcn_all_reduce = software.constant("dcn_all_reduce").choice(dcn_all_reduces());
  read.precision.weight_gather    = software.constant("weight_gather_dtype").choice(dtypes());
  read.precision.gradient         = software.constant("gradient_dtype").choice(dtypes());
  read.precision.attention_logits = software.constant("attention_logits_dtype").choice(dtypes());
  read.precision.kernels          = read_kernels(software);
  Reader late                     = software.constant("reduce_after_backward");
  for (const Reader& axis : late.elements()) {
    std::vector<std::string> known = usual_axis_names();
    known.insert(known.end(), sharding.known.begin(), sharding.known.end());
    for (const MeshAxis& one : mesh.axes)
      known.push_back(one.name);
    const std::string name = axis.text();
    if (std::find(known.begin(), known.end(), name) == known.end())
      axis.misread("the name of a mesh axis", did_you_mean(name, known));
    const AxisMask found = mesh.find(name);
    if (std::any_of(sharding.gradients.begin(), sharding.gradients.end(),
                    [&](const AxisMask split) { return (split & found) != 0; }))
      axis.complain_to_user(
          fmt::format("gradients are scattered over \"{}\" as its weights are: that cannot wait", name));
    deferred |= mesh.size(found) > 1 ? found : 0;
  }
  read_accumulation(software, read);
  software.finish();
  return read;
}

} // namespace podsim
