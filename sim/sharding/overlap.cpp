#include "sim/sharding/overlap.hpp"

#include <algorithm>

namespace podsim {
namespace {

bool among(const std::vector<Operand>& operands, TensorId id)
{
  return std::any_of(operands.begin(), operands.end(), [&](const Operand& one) { return one.tensor == id; });
}

class OverlapPass {
public:
  OverlapPass(const Block& block, const BlockLayouts& lies, const Overlap& overlap, const Copies& copies)
      : block_(block), lies_(lies), overlap_(overlap), copies_(copies), placed_(lies.collectives.size())
  {
    order_.reserve(lies.operations.size() + lies.collectives.size());
  }

  std::vector<Placed> take()
  {
    Pass pass = Pass::forward;
    for (std::size_t i = 0; i < lies_.operations.size(); ++i) {
      const bool output = i >= block_.operations.size();
      pass              = output ? pass : block_.operations[i].pass;
      each_before(i, [&](int collective) { place(collective, pass, false, false); });
      if (output) {
        order_.push_back({Placed::Kind::output, static_cast<int>(i), pass});
        continue;
      }
      const bool product = block_.operations[i].kind != OperationKind::pointwise && pass == Pass::backward;
      if (product && overlap_.activation_gathers && stream_begun_)
        gather_saved_ahead(i);
      order_.push_back({Placed::Kind::operation, static_cast<int>(i), pass});
      stream_begun_ = true;
      if (product && overlap_.activation_reductions)
        for (const Operand& made : block_.operations[i].outputs)
          reduce_when_complete(made.tensor, i);
    }
    return std::move(order_);
  }

private:
  template <class What> void each_before(std::size_t operation, const What& what) const
  {
    const std::span<const BlockCollective> some = lies_.collectives_before(operation);
    for (std::size_t i = 0; i < some.size(); ++i)
      what(static_cast<int>(lies_.operations[operation].first_collective + i));
  }

  const BlockCollective& collective(int index) const { return lies_.collectives[static_cast<std::size_t>(index)]; }

  // Which stand in the order where the collective itself does not.
  bool has_copies(const BlockCollective& one) const
  {
    const TensorKind kind = block_.tensor(one.tensor).kind;
    return (kind == TensorKind::weight && copies_.after_weight_gather > 0) ||
           (kind == TensorKind::weight_gradient && copies_.before_gradient_reduction > 0 && of_sum(one));
  }

  // Of a gradient that this block has made, or what was made of it.
  bool of_sum(const BlockCollective& one) const { return lies_.version(one.from).origin != Version::Origin::stored; }

  void place(int index, Pass pass, bool beside, bool after_stream)
  {
    if (placed_[static_cast<std::size_t>(index)])
      return;
    placed_[static_cast<std::size_t>(index)] = true;
    const BlockCollective& one               = collective(index);
    const TensorKind kind                    = block_.tensor(one.tensor).kind;
    const bool asynchronous                  = beside || (kind == TensorKind::weight && overlap_.weight_gathers) ||
                              (kind == TensorKind::weight_gradient && overlap_.gradient_reductions && of_sum(one));
    order_.push_back({Placed::Kind::collective, index, pass, asynchronous, after_stream});
    stream_begun_ = stream_begun_ || !asynchronous || has_copies(one);
  }

  // Saved activations that the gradients of weights following this product read: their gathers start beside it (the
  // second gather of sequence parallelism, behind the product that makes the activation's gradient). Nothing
  // makes them in this block, but the engine lets what waits for nothing start iterations ahead, as weights may;
  // an activation is kept whole for as short as can be, so its gather waits for the operation before.
  void gather_saved_ahead(std::size_t product)
  {
    for (std::size_t i = product + 1; i < block_.operations.size(); ++i) {
      const Operation& next = block_.operations[i];
      if (next.kind != OperationKind::einsum || next.pass != Pass::backward)
        return;
      each_before(i, [&](int index) {
        const TensorId id = collective(index).tensor;
        if (block_.tensor(id).kind == TensorKind::activation && !made_here(id))
          place(index, Pass::backward, true, true);
      });
    }
  }

  bool made_here(TensorId id) const
  {
    return std::any_of(block_.operations.begin(), block_.operations.end(),
                       [&](const Operation& operation) { return among(operation.outputs, id); });
  }

  // After the last product that adds to an activation's gradient, its sum over the mesh runs beside what follows, until
  // somebody in this block reads it. Where nobody does, the next block would not know that it has to wait.
  void reduce_when_complete(TensorId id, std::size_t product)
  {
    if (block_.tensor(id).kind != TensorKind::activation)
      return;
    std::size_t reader = 0;
    for (std::size_t i = product + 1; i < block_.operations.size(); ++i) {
      if (among(block_.operations[i].outputs, id))
        return; // it is not complete
      if (reader == 0 && among(block_.operations[i].inputs, id))
        reader = i;
    }
    if (reader > 0)
      each_before(reader, [&](int index) {
        const BlockCollective& one = collective(index);
        if (one.tensor == id && (one.kind == CollectiveKind::reduce_scatter || one.kind == CollectiveKind::all_reduce))
          place(index, Pass::backward, true, false);
      });
  }

  const Block& block_;
  const BlockLayouts& lies_;
  const Overlap& overlap_;
  const Copies& copies_;
  std::vector<Placed> order_;
  std::vector<bool> placed_;  // of the collectives
  bool stream_begun_ = false; // something is in the order that is not asynchronous
};

} // namespace

std::vector<Placed> overlap(const Block& block, const BlockLayouts& lies, const Overlap& overlap, const Copies& copies)
{
  return OverlapPass(block, lies, overlap, copies).take();
}

} // namespace podsim
