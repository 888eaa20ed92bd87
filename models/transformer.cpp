#include "models/transformer.hpp"

namespace podsim {
namespace {

// Adds tensors and operations to a block as a model's definition reads.
class Builder {
public:
  Builder(Block& block, const Precision& precision) : block_(block), precision_(precision) {}

  TensorId activation(const std::string& name, std::vector<Extent> shape)
  {
    return block_.add({name, TensorKind::activation, precision_.activations, std::move(shape)});
  }
  TensorId f32(const std::string& name, std::vector<Extent> shape)
  {
    return block_.add({name, TensorKind::activation, Dtype::f32, std::move(shape)});
  }
  TensorId weight(const std::string& name, std::vector<Extent> shape)
  {
    return block_.add({name, TensorKind::weight, precision_.weight_gather, std::move(shape)});
  }
  Block& block() { return block_; }
  Operation& product(const std::string& name, Operand a, Operand b, TensorId out)
  {
    block_.operations.push_back({.name = name, .kind = OperationKind::einsum, .inputs = {a, b}, .outputs = {{out}}});
    return block_.operations.back();
  }
  Operation& pointwise(const std::string& name, const PointwiseKind& kind, std::vector<Operand> in, TensorId out)
  {
    block_.operations.push_back({.name      = name,
                                 .kind      = OperationKind::pointwise,
                                 .inputs    = std::move(in),
                                 .outputs   = {{out}},
                                 .pointwise = &kind,
                                 .passes    = &kind.forward});
    return block_.operations.back();
  }
  Operation& lookup(const std::string& name, TensorId table, TensorId out)
  {
    block_.operations.push_back({.name = name, .kind = OperationKind::lookup, .inputs = {{table}}, .outputs = {{out}}});
    return block_.operations.back();
  }

private:
  Block& block_;
  const Precision& precision_;
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
    Block block{.name = "embedding", .role = BlockRole::embedding, .count = 1, .tensors = {}, .operations = {}, .outputs = {}, .saved = {}};
    Builder add(block, precision_);
    const TensorId x = add.activation("x", {b_, s_, m_});
    add.lookup("embedding", add.weight("embedding", {{Dim::vocab, c_.vocab}, m_}), x);
    if (c_.max_positions > 0)
      add.lookup("positions", add.weight("positions", {{Dim::position, c_.max_positions}, m_}), x).accumulates = true;
    block.outputs = {x};
    return block;
  }

  Block layer() const
  {
    Block block{.name = "layer", .role = BlockRole::layers, .count = c_.layers, .tensors = {}, .operations = {}, .outputs = {}, .saved = {}};
    Builder add(block, precision_);
    const TensorId x      = add.activation("x", {b_, s_, m_});
    const TensorId branch = add.activation("attention branch", {b_, s_, m_});
    attention(add, norm(add, "attention norm", x), branch);
    TensorId middle     = x;
    TensorId mlp_input  = 0;
    TensorId mlp_branch = branch;
    if (c_.parallel_block) {
      mlp_input = *block.find("attention norm");
    } else {
      middle = add.activation("middle", {b_, s_, m_});
      add.pointwise("attention residual", pointwise::residual, {{x}, {branch}}, middle);
      mlp_input  = norm(add, "mlp norm", middle);
      mlp_branch = add.activation("mlp branch", {b_, s_, m_});
    }
    mlp(add, mlp_input, mlp_branch).accumulates = c_.parallel_block;
    const TensorId y                            = add.activation("y", {b_, s_, m_});
    add.pointwise("residual", pointwise::residual, {{middle}, {mlp_branch}}, y);
    block.outputs = {y};
    return block;
  }

  // The logits' gradient is written over the logits' dimensions in the activations' precision.
  Block head() const
  {
    Block block{.name = "loss", .role = BlockRole::loss, .count = 1, .tensors = {}, .operations = {}, .outputs = {}, .saved = {}};
    Builder add(block, precision_);
    const Extent v{Dim::vocab, c_.vocab};
    const TensorId x      = add.activation("x", {b_, s_, m_});
    const TensorId y      = norm(add, "last norm", x);
    const TensorId logits = add.f32("logits", {b_, s_, v});
    add.product("logits", {y}, {add.weight(c_.tied_embedding ? "embedding" : "unembedding", {v, m_})}, logits);
    const TensorId sums = add.f32("log-sum-exp", {b_, s_});
    add.pointwise("log-sum-exp", pointwise::log_sum_exp, {{logits}}, sums);
    add.pointwise("loss", pointwise::loss_gradient, {{logits}, {sums}}, add.activation("d(logits)", {b_, s_, v}));
    return block;
  }

private:
  TensorId norm(Builder& add, const std::string& name, TensorId x) const
  {
    if (c_.norm_scale)
      add.weight(name + " scale", {m_}); // replicated and too small to cost time: counted, not computed with
    const TensorId moments = add.f32(name + " moments", {b_, s_});
    add.pointwise(name + " moments", pointwise::moments, {{x}}, moments);
    const TensorId y = add.activation(name, {b_, s_, m_});
    add.pointwise(name, pointwise::normalise, {{x}, {moments}}, y);
    return y;
  }

  TensorId rotated(Builder& add, const std::string& name, TensorId a, const std::vector<Extent>& shape) const
  {
    if (c_.max_positions > 0)
      return a;
    const TensorId out = add.activation("rotated " + name, shape);
    add.pointwise("rotary " + name, pointwise::rotary, {{a}}, out);
    return out;
  }

  void attention(Builder& add, TensorId x, TensorId branch) const
  {
    const Extent h{Dim::heads, c_.heads};
    const Extent g{Dim::heads, c_.kv_heads};
    const Extent d{Dim::head_dim, c_.head_dim};
    const TensorId q = add.activation("query", {b_, s_, h, d});
    const TensorId k = add.activation("key", {b_, t_, g, d});
    const TensorId v = add.activation("value", {b_, t_, g, d});
    add.product("query", {x}, {add.weight("query weight", {m_, h, d})}, q);
    add.product("key", {x, true}, {add.weight("key weight", {m_, g, d})}, k);
    add.product("value", {x, true}, {add.weight("value weight", {m_, g, d})}, v);
    const TensorId rotated_q = rotated(add, "query", q, {b_, s_, h, d});
    const TensorId rotated_k = rotated(add, "key", k, {b_, t_, g, d});

    const TensorId scores =
        add.block().add({"scores", TensorKind::activation, precision_.attention_logits, {b_, h, s_, t_}});
    const TensorId probabilities = add.activation("probabilities", {b_, h, s_, t_});
    const TensorId context       = add.activation("context", {b_, s_, h, d});
    add.product("scores", {rotated_q}, {rotated_k}, scores).attention                 = true;
    add.pointwise("softmax", pointwise::softmax, {{scores}}, probabilities).attention = true;
    add.product("context", {probabilities}, {v}, context).attention                   = true;
    add.product("attention output", {context}, {add.weight("attention output weight", {h, d, m_})}, branch);
  }

  Operation& mlp(Builder& add, TensorId x, TensorId branch) const
  {
    const Extent f{Dim::mlp, c_.d_ff};
    const TensorId up = add.activation("up", {b_, s_, f});
    add.product("up", {x}, {add.weight("up weight", {m_, f})}, up);
    const TensorId hidden = add.activation("hidden", {b_, s_, f});
    if (c_.gated_mlp) {
      const TensorId gate = add.activation("gate", {b_, s_, f});
      add.product("gate", {x}, {add.weight("gate weight", {m_, f})}, gate);
      add.pointwise("gating", pointwise::gate, {{gate}, {up}}, hidden);
    } else {
      add.pointwise("activation", pointwise::activation, {{up}}, hidden);
    }
    return add.product("down", {hidden}, {add.weight("down weight", {f, m_})}, branch);
  }

  const TransformerConfig& c_;
  Extent b_, s_, t_, m_;
  const Precision& precision_;
};

} // namespace

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
  c.kv_heads       = model.at("key_value_heads").count(1, c.heads);
  c.head_dim       = model.at("head_dim").count(1, 100'000);
  c.vocab          = model.at("vocabulary").count(1, 10'000'000);
  c.gated_mlp      = model.at("mlp").choice<bool>({{"plain", false}, {"gated", true}});
  c.parallel_block = model.at("block").choice<bool>({{"serial", false}, {"parallel", true}});
  c.tied_embedding = model.at("tied_embedding").flag();
  c.norm_scale     = model.at("norm_scale").flag();
  Reader positions = model.at("positions");
  if (positions.is_text()) {
    positions.choice<int>({{"rotary", 0}});
  } else {
    c.max_positions = positions.at("learned").count(1, 100'000'000);
    positions.finish();
  }
  if (c.heads % c.kv_heads != 0)
    model.at("key_value_heads").fail("must divide heads, which is " + std::to_string(c.heads));
  model.finish();
  return c;
}

double parameter_count(const TransformerConfig& c)
{
  const auto d           = static_cast<double>(c.d_model);
  const double attention = 2.0 * d * static_cast<double>((c.heads + c.kv_heads) * c.head_dim);
  const double mlp       = (c.gated_mlp ? 3.0 : 2.0) * d * static_cast<double>(c.d_ff);
  const double norms     = c.norm_scale ? (c.parallel_block ? d : 2 * d) : 0;
  const double embedding = static_cast<double>((c.tied_embedding ? 1 : 2) * c.vocab + c.max_positions) * d;
  return embedding + static_cast<double>(c.layers) * (attention + mlp + norms) + (c.norm_scale ? d : 0);
}

ForwardPass forward_pass(const TransformerConfig& config, std::int64_t batch, std::int64_t sequence,
                         const Precision& precision)
{
  const Transformer transformer(config, batch, sequence, precision);
  const double parameters = parameter_count(config);
  ForwardPass pass{.shape           = {parameters, parameters, config.layers, config.heads, config.head_dim, sequence},
                   .embedding       = transformer.embedding(),
                   .layer           = transformer.layer(),
                   .head            = transformer.head(),
                   .layers_in_block = 1,
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
