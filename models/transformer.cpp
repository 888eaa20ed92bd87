#include "models/transformer.hpp"

#include <cmath>

namespace podsim {
namespace {

// Adds tensors and operations to a block as a model's definition reads. Where a block holds several layers, a prefix
// tells their tensors apart.
class Builder {
public:
  Builder(Block& block, const Precision& precision, std::string prefix = "")
      : block_(block), precision_(precision), prefix_(std::move(prefix))
  {
  }

  TensorId tensor(const std::string& name, TensorKind kind, Dtype dtype, std::vector<Extent> shape)
  {
    return block_.add({prefix_ + name, kind, dtype, std::move(shape)});
  }
  TensorId activation(const std::string& name, std::vector<Extent> shape)
  {
    return tensor(name, TensorKind::activation, precision_.activations, std::move(shape));
  }
  TensorId f32(const std::string& name, std::vector<Extent> shape)
  {
    return tensor(name, TensorKind::activation, Dtype::f32, std::move(shape));
  }
  TensorId mask(const std::string& name, std::vector<Extent> shape)
  {
    return tensor(name, TensorKind::activation, Dtype::u8, std::move(shape));
  }
  TensorId weight(const std::string& name, std::vector<Extent> shape)
  {
    return tensor(name, TensorKind::weight, precision_.weight_gather, std::move(shape));
  }
  Operation& product(const std::string& name, Operand a, Operand b, TensorId out)
  {
    return operation(name, OperationKind::einsum, {a, b}, {{out}});
  }
  Operation& pointwise(const std::string& name, const PointwiseColumns& columns, std::vector<Operand> in,
                       std::vector<Operand> out)
  {
    Operation& added = operation(name, OperationKind::pointwise, std::move(in), std::move(out));
    added.pointwise  = &columns.in(precision_.kernels.element_wise);
    added.passes     = &added.pointwise->forward;
    added.overhead   = precision_.kernels.element_wise_overhead;
    return added;
  }
  Operation& operation(const std::string& name, OperationKind kind, std::vector<Operand> in, std::vector<Operand> out)
  {
    block_.operations.push_back(
        {.name = prefix_ + name, .kind = kind, .inputs = std::move(in), .outputs = std::move(out)});
    return block_.operations.back();
  }

private:
  Block& block_;
  const Precision& precision_;
  std::string prefix_;
};

class Transformer {
public:
  Transformer(const TransformerConfig& config, std::int64_t batch, std::int64_t sequence, const Precision& precision)
      : c_(config), b_{Dim::batch, batch}, s_{Dim::sequence, sequence}, t_{Dim::key_sequence, sequence},
        m_{Dim::embed, config.d_model}, precision_(precision)
  {
  }

  Block embedding() const
  {
    Block block{.name       = "embedding",
                .role       = BlockRole::embedding,
                .count      = 1,
                .tensors    = {},
                .operations = {},
                .outputs    = {},
                .saved      = {}};
    Builder add(block, precision_);
    const TensorId x  = add.activation("x", {b_, s_, m_});
    const auto lookup = [&](const char* name, const Extent& rows) -> Operation& {
      return add.operation(name, OperationKind::lookup, {{add.weight(name, {rows, m_})}}, {{x}});
    };
    lookup("embedding", {Dim::vocab, c_.vocab});
    if (c_.positions == Positions::learned)
      lookup("positions", {Dim::position, c_.max_positions}).accumulates = true;
    block.outputs = {x};
    return block;
  }

  // The block that repeats: a layer, or as many as it takes to meet experts once.
  Block layer() const
  {
    const std::int64_t layers = c_.experts.count > 0 ? c_.experts.every : 1;
    Block block{.name       = "layer",
                .role       = BlockRole::layers,
                .count      = c_.layers / layers,
                .tensors    = {},
                .operations = {},
                .outputs    = {},
                .saved      = {}};
    TensorId x = block.add({"x", TensorKind::activation, precision_.activations, {b_, s_, m_}});
    for (std::int64_t i = 1; i <= layers; ++i) {
      Builder add(block, precision_, i == 1 ? "" : "layer " + std::to_string(i) + " ");
      x = layer(add, x, c_.experts.count > 0 && i == layers);
    }
    block.outputs = {x};
    return block;
  }

  // The logits' gradient is written over the logits' dimensions in the activations' precision.
  Block head() const
  {
    Block block{.name       = "loss",
                .role       = BlockRole::loss,
                .count      = 1,
                .tensors    = {},
                .operations = {},
                .outputs    = {},
                .saved      = {}};
    Builder add(block, precision_);
    const Extent v{Dim::vocab, c_.vocab};
    const TensorId x      = add.activation("x", {b_, s_, m_});
    const TensorId y      = norm(add, "last norm", x);
    const TensorId logits = add.f32("logits", {b_, s_, v});
    add.product("logits", {y}, {add.weight(c_.tied_embedding ? "embedding" : "unembedding", {v, m_})}, logits);
    const TensorId sums = add.f32("log-sum-exp", {b_, s_});
    add.pointwise("log-sum-exp", pointwise::log_sum_exp, {{logits}}, {{sums}});
    add.pointwise("loss", pointwise::loss_gradient, {{logits}, {sums}}, {{add.activation("d(logits)", {b_, s_, v})}});
    return block;
  }

private:
  TensorId layer(Builder& add, TensorId x, bool experts) const
  {
    const TensorId normed = norm(add, "attention norm", x);
    TensorId branch       = add.activation("attention branch", {b_, s_, m_});
    attention(add, normed, branch);
    if (c_.parallel_block)
      small_weight(add, c_.biases, "attention output bias", {m_});
    else
      branch = biased(add, "attention output", branch, {b_, s_, m_}, {m_});
    const auto feed_forward = [&](TensorId input, TensorId out) -> Operation& {
      return experts ? mixture(add, input, out) : mlp(add, input, out);
    };
    if (c_.parallel_block) {
      feed_forward(normed, branch).accumulates = true;
      return residual(add, "residual", "y", x, branch);
    }
    const TensorId middle    = residual(add, "attention residual", "middle", x, branch);
    const TensorId mlp_input = norm(add, "mlp norm", middle);
    TensorId mlp_branch      = add.activation("mlp branch", {b_, s_, m_});
    feed_forward(mlp_input, mlp_branch);
    if (!experts)
      mlp_branch = biased(add, "down", mlp_branch, {b_, s_, m_}, {m_});
    return residual(add, "residual", "y", middle, mlp_branch);
  }

  TensorId residual(Builder& add, const std::string& name, const std::string& result, TensorId x, TensorId branch) const
  {
    const TensorId y = add.activation(result, {b_, s_, m_});
    if (c_.dropout)
      add.pointwise(name, pointwise::drop_residual, {{x}, {branch}}, {{y}, {add.mask(name + " mask", {b_, s_, m_})}});
    else
      add.pointwise(name, pointwise::residual, {{x}, {branch}}, {{y}});
    return y;
  }

  // Replicated, or nearly, and too small to cost time: counted, not computed with.
  void small_weight(Builder& add, bool present, const std::string& name, std::vector<Extent> shape) const
  {
    if (present)
      add.weight(name, std::move(shape));
  }

  TensorId norm(Builder& add, const std::string& name, TensorId x) const
  {
    small_weight(add, c_.norm_scale, name + " scale", {m_});
    small_weight(add, c_.norm_scale && c_.biases, name + " bias", {m_});
    const TensorId moments = add.f32(name + " moments", {b_, s_});
    add.pointwise(name + " moments", pointwise::moments, {{x}}, {{moments}});
    const TensorId y = add.activation(name, {b_, s_, m_});
    add.pointwise(name, pointwise::normalise, {{x}, {moments}}, {{y}});
    return y;
  }

  // The bias itself is added within a neighbour's kernel; its gradient is a sum over all tokens. XLA fuses that into
  // what makes the tokens' gradients, CUDA kernels read these once more.
  TensorId biased(Builder& add, const std::string& name, TensorId x, const std::vector<Extent>& shape,
                  std::vector<Extent> weight_shape) const
  {
    if (!c_.biases || precision_.kernels.element_wise == ElementWise::xla) {
      small_weight(add, c_.biases, name + " bias", std::move(weight_shape));
      return x;
    }
    const TensorId y = add.activation(name + " with bias", shape);
    add.pointwise(name + " bias", pointwise::bias, {{x}, {add.weight(name + " bias", std::move(weight_shape))}}, {{y}});
    return y;
  }

  TensorId rotated(Builder& add, const std::string& name, TensorId a, const std::vector<Extent>& shape) const
  {
    if (c_.positions != Positions::rotary)
      return a;
    const TensorId out = add.activation("rotated " + name, shape);
    add.pointwise("rotary " + name, pointwise::rotary, {{a}}, {{out}});
    return out;
  }

  void attention(Builder& add, TensorId x, TensorId branch) const
  {
    const Extent h{Dim::heads, c_.heads};
    const Extent g{Dim::heads, c_.kv_heads};
    const Extent d{Dim::head_dim, c_.head_dim};
    TensorId q = add.activation("query", {b_, s_, h, d});
    TensorId k = add.activation("key", {b_, t_, g, d});
    TensorId v = add.activation("value", {b_, t_, g, d});
    add.product("query", {x}, {add.weight("query weight", {m_, h, d})}, q);
    add.product("key", {x, true}, {add.weight("key weight", {m_, g, d})}, k);
    add.product("value", {x, true}, {add.weight("value weight", {m_, g, d})}, v);
    q = biased(add, "query", q, {b_, s_, h, d}, {h, d});
    k = biased(add, "key", k, {b_, t_, g, d}, {g, d});
    v = biased(add, "value", v, {b_, t_, g, d}, {g, d});
    small_weight(add, c_.positions == Positions::relative, "relative bias", {{Dim::position, c_.max_positions}, h});
    small_weight(add, c_.positions == Positions::transformer_xl, "position weight", {m_, h, d});
    const TensorId rotated_q = rotated(add, "query", q, {b_, s_, h, d});
    const TensorId rotated_k = rotated(add, "key", k, {b_, t_, g, d});

    const TensorId context = add.activation("context", {b_, s_, h, d});
    if (precision_.kernels.attention) {
      const TensorId statistics = add.f32("attention statistics", {b_, h, s_});
      Operation& kernel = add.operation("attention", OperationKind::fused_attention, {{rotated_q}, {rotated_k}, {v}},
                                        {{context}, {statistics}});
      kernel.attention  = true;
      kernel.kernel     = *precision_.kernels.attention; // which draws dropout's mask anew in the backward pass
      kernel.kernel.skips_masked &= !c_.encoder;
    } else {
      core_attention(add, rotated_q, rotated_k, v, context);
    }
    add.product("attention output", {context}, {add.weight("attention output weight", {h, d, m_})}, branch);
  }

  void core_attention(Builder& add, TensorId q, TensorId k, TensorId v, TensorId context) const
  {
    const std::vector<Extent> square{b_, {Dim::heads, c_.heads}, s_, t_};
    const TensorId scores  = add.tensor("scores", TensorKind::activation, precision_.attention_logits, square);
    TensorId probabilities = add.activation("probabilities", square);
    add.product("scores", {q}, {k}, scores).attention                                     = true;
    add.pointwise("softmax", pointwise::softmax, {{scores}}, {{probabilities}}).attention = true;
    if (c_.dropout) {
      const TensorId kept = add.activation("kept probabilities", square);
      const TensorId mask = add.mask("probabilities mask", square);
      add.pointwise("attention dropout", pointwise::dropout, {{probabilities}}, {{kept}, {mask}}).attention = true;
      probabilities                                                                                         = kept;
    }
    add.product("context", {probabilities}, {v}, context).attention = true;
  }

  Operation& mlp(Builder& add, TensorId x, TensorId branch) const
  {
    small_weight(add, c_.biases && c_.parallel_block, "down bias", {m_});
    return feed_forward(add, c_.gated_mlp, {b_, s_}, {}, x, branch);
  }

  // tokens -> branch; `tokens`: the dimensions of its rows, `stack`: of the weights of experts before their own.
  Operation& feed_forward(Builder& add, bool gated, std::vector<Extent> tokens, const std::vector<Extent>& stack,
                          TensorId x, TensorId branch) const
  {
    const Extent f{Dim::mlp, c_.d_ff};
    const auto weight = [&](const char* name, const Extent& from, const Extent& to) {
      std::vector<Extent> shape = stack;
      shape.insert(shape.end(), {from, to});
      return add.weight(name, shape);
    };
    tokens.push_back(f);
    TensorId up = add.activation("up", tokens);
    add.product("up", {x}, {weight("up weight", m_, f)}, up);
    if (stack.empty())
      up = biased(add, "up", up, tokens, {f});
    const TensorId hidden = add.activation("hidden", tokens);
    if (gated) {
      TensorId gate = add.activation("gate", tokens);
      add.product("gate", {x}, {weight("gate weight", m_, f)}, gate);
      if (stack.empty())
        gate = biased(add, "gate", gate, tokens, {f});
      add.pointwise("gating", pointwise::gate, {{gate}, {up}}, {{hidden}});
    } else {
      add.pointwise("activation", pointwise::activation, {{up}}, {{hidden}});
    }
    return add.product("down", {hidden}, {weight("down weight", f, m_)}, branch);
  }

  // What the experts read lies by experts, what they return by tokens (the order of the dimensions says so), so that
  // nothing kept for the backward pass must be exchanged again.
  Operation& mixture(Builder& add, TensorId x, TensorId branch) const
  {
    const std::int64_t group = c_.experts.group > 0 ? c_.experts.group : s_.size;
    const Extent b{Dim::batch, b_.size * s_.size / group};
    const Extent s{Dim::sequence, group};
    const Extent e{Dim::expert, c_.experts.count};
    const Extent c{Dim::capacity, c_.experts.capacity(group)};
    if (group != s_.size) {
      const TensorId groups = add.activation("groups", {b, s, m_});
      add.pointwise("grouping", pointwise::view, {{x}}, {{groups}});
      x = groups;
    }
    const TensorId logits  = add.f32("router logits", {b, s, e});
    const TensorId mask    = add.mask("dispatch mask", {b, s, e, c});
    const TensorId combine = add.activation("combine weights", {b, s, e, c});
    add.product("router", {x}, {add.weight("router weight", {m_, e})}, logits);
    add.pointwise("routing", pointwise::routing, {{logits}}, {{combine}, {mask}});
    const TensorId sent     = add.activation("dispatched", {e, b, c, m_});
    const TensorId returned = add.activation("returned", {b, e, c, m_});
    add.product("dispatch", {x}, {mask}, sent);
    feed_forward(add, c_.experts.gated_mlp, {e, b, c}, {e}, sent, returned);
    if (group == s_.size)
      return add.product("combine", {returned}, {combine}, branch);
    const TensorId combined = add.activation("combined", {b, s, m_});
    add.product("combine", {returned}, {combine}, combined);
    return add.pointwise("ungrouping", pointwise::view, {{combined}}, {{branch}});
  }

  const TransformerConfig& c_;
  Extent b_, s_, t_, m_;
  const Precision& precision_;
};

} // namespace

namespace {

// "rotary", or {"learned": rows of the table}.
void read_positions(Reader positions, TransformerConfig& c)
{
  if (positions.is_text()) {
    c.positions = positions.choice<Positions>({{"rotary", Positions::rotary},
                                               {"alibi", Positions::alibi},
                                               {"transformer-xl", Positions::transformer_xl},
                                               {"none", Positions::none}});
    return;
  }
  if (const auto buckets = positions.find("relative")) {
    c.positions     = Positions::relative;
    c.max_positions = buckets->count(1, 1'000'000);
  } else {
    c.positions     = Positions::learned;
    c.max_positions = positions.at("learned").count(1, 100'000'000);
  }
  positions.finish();
}

// How many of a group's tokens an expert takes, in one of the two ways in which sources say it.
void read_capacity(Reader& experts, Experts& read)
{
  const auto factor = [](const Reader& given, const char* what) {
    const double number = given.number();
    if (!(number > 0 && number <= 1000))
      given.expected(what);
    return number;
  };
  const auto capacity = experts.find("capacity");
  if (const auto old = experts.find("capacity_factor")) {
    if (capacity)
      old->fail("\"capacity\" is given as well, in another convention; null removes the one that does not hold");
    read.capacity_factor = factor(*old, "a number above 0, at most 1000");
    return;
  }
  if (!capacity)
    experts.fail("the key \"capacity\" is missing: a factor of tokens x top_k / count, or \"dropless\"");
  const auto choices   = static_cast<double>(read.top_k);
  read.capacity_factor = choices;
  if (capacity->is_text())
    capacity->choice<bool>({{"dropless", true}});
  else
    read.capacity_factor = choices * factor(*capacity, "a number above 0, at most 1000, or \"dropless\"");
}

Experts read_experts(Reader experts, std::int64_t layers)
{
  Experts read;
  read.count = experts.at("count").count(2, 1'000'000);
  read.top_k = experts.at("top_k").count(1, 1'000'000);
  read.every = experts.at("every").count(1, 10'000);
  read_capacity(experts, read);
  if (const auto group = experts.find("group"))
    read.group = group->count(1, 100'000'000);
  read.gated_mlp = experts.at("mlp").choice<bool>({{"plain", false}, {"gated", true}});
  experts.finish();
  if (experts.sound() && read.top_k > read.count)
    experts.at("top_k").complain("is more than count, which is " + std::to_string(read.count));
  if (experts.sound() && layers % read.every != 0)
    experts.at("every").complain("must divide layers, which is " + std::to_string(layers));
  return read;
}

} // namespace

std::int64_t Experts::capacity(std::int64_t tokens) const
{
  const double share = static_cast<double>(tokens) * capacity_factor / static_cast<double>(count);
  return std::max<std::int64_t>(1, std::llround(std::ceil(share - 1e-9)));
}

double Experts::dropped(std::int64_t tokens) const
{
  const double choices = static_cast<double>(tokens * top_k) / static_cast<double>(count); // an expert's
  const auto room      = static_cast<double>(capacity(tokens));
  return room >= choices - 1e-9 ? 0 : 1 - room / choices;
}

TransformerConfig read_transformer(Reader model)
{
  TransformerConfig c;
  c.name = model.at("name").text();
  model.at("source").text(); // for readers
  c.encoder        = model.at("kind").choice<bool>({{"decoder", false}, {"encoder", true}});
  c.layers         = model.at("layers").count(1, 10'000);
  c.d_model        = model.at("d_model").count(1, 1'000'000);
  c.d_ff           = model.at("d_ff").count(1, 10'000'000);
  c.heads          = model.at("heads").count(1, 100'000);
  c.kv_heads       = model.at("key_value_heads").count(1, 100'000);
  c.head_dim       = model.at("head_dim").count(1, 100'000);
  c.vocab          = model.at("vocabulary").count(1, 10'000'000);
  c.gated_mlp      = model.at("mlp").choice<bool>({{"plain", false}, {"gated", true}});
  c.parallel_block = model.at("block").choice<bool>({{"serial", false}, {"parallel", true}});
  c.tied_embedding = model.at("tied_embedding").flag();
  c.norm_scale     = model.at("norm_scale").flag();
  read_positions(model.at("positions"), c);
  if (const auto biases = model.find("biases"))
    c.biases = biases->flag();
  if (const auto experts = model.find("experts"))
    c.experts = read_experts(*experts, c.layers);
  if (c.experts.count > 0 && c.biases)
    model.at("biases").complain("experts have none here");
  model.finish();
  if (model.sound() && c.heads % c.kv_heads != 0)
    model.at("key_value_heads").complain("must divide heads, which is " + std::to_string(c.heads));
  return c;
}

double parameter_count(const TransformerConfig& c, std::int64_t experts_counted)
{
  const auto d             = static_cast<double>(c.d_model);
  const auto f             = static_cast<double>(c.d_ff);
  const auto h             = static_cast<double>(c.heads);
  const auto layers        = static_cast<double>(c.layers);
  const double both_heads  = static_cast<double>(c.heads + c.kv_heads) * static_cast<double>(c.head_dim);
  const double query_heads = h * static_cast<double>(c.head_dim);
  const double attention   = 2 * d * both_heads + (c.biases ? 2 * both_heads - query_heads + d : 0) +
                           (c.positions == Positions::relative ? static_cast<double>(c.max_positions) * h : 0) +
                           (c.positions == Positions::transformer_xl ? d * query_heads : 0);
  const double up       = c.gated_mlp ? 2 : 1;
  const double mlp      = (up + 1) * d * f + (c.biases ? up * f + d : 0);
  const double norm     = c.norm_scale ? (c.biases ? 2 * d : d) : 0;
  const double norms    = (c.parallel_block ? 1 : 2) * norm;
  const double mixtures = c.experts.count > 0 ? layers / static_cast<double>(c.experts.every) : 0;
  const double mixture  = (c.experts.gated_mlp ? 3 : 2) * d * f * static_cast<double>(experts_counted) +
                         d * static_cast<double>(c.experts.count);
  const std::int64_t rows =
      (c.tied_embedding ? 1 : 2) * c.vocab + (c.positions == Positions::learned ? c.max_positions : 0);
  return static_cast<double>(rows) * d + layers * (attention + norms) + (layers - mixtures) * mlp + mixtures * mixture +
         norm;
}

ForwardPass forward_pass(const TransformerConfig& config, std::int64_t batch, std::int64_t sequence,
                         const Precision& precision)
{
  const Transformer transformer(config, batch, sequence, precision);
  const double parameters = parameter_count(config, config.experts.count);
  const double active     = parameter_count(config, config.experts.top_k);
  const Experts& experts  = config.experts;
  ModelShape shape{parameters,      active,   config.layers,  config.heads,
                   config.head_dim, sequence, config.d_model, config.vocab};
  shape.lookup_parameters = static_cast<double>(config.d_model) *
                            static_cast<double>((config.tied_embedding ? 0 : config.vocab) +
                                                (config.positions == Positions::learned ? config.max_positions : 0));
  if (experts.count > 0) {
    shape.expert_layers = config.layers / experts.every;
    shape.top_k         = experts.top_k;
    shape.dropped       = experts.dropped(experts.group > 0 ? experts.group : sequence);
  }
  ForwardPass pass{.shape           = shape,
                   .embedding       = transformer.embedding(),
                   .layer           = transformer.layer(),
                   .head            = transformer.head(),
                   .layers_in_block = config.experts.count > 0 ? config.experts.every : 1,
                   .input           = 0,
                   .head_input      = 0,
                   .logits          = 0,
                   .logits_gradient = 0};
  pass.input           = *pass.layer.find("x");
  pass.head_input      = *pass.head.find("x");
  pass.logits          = *pass.head.find("logits");
  pass.logits_gradient = *pass.head.find("d(logits)");
  return pass;
}

} // namespace podsim
