#include "tests/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace podsim;
using namespace podsim::test;

namespace {

Metrics measured(const Prepared& p, Granularity granularity = Granularity::automatic)
{
  const Scenario& s = p.scenario;
  return measure(p.program, p.sharded, s.machine, s.placement, multi_axis(s), test::simulate(p, granularity, false));
}

Seconds sum(const Breakdown& breakdown)
{
  Seconds total;
  for (const auto& [name, time] : breakdown)
    total += time;
  return total;
}

// Random small scenarios; modulo draws, so that they are the same with every standard library.
class Draw {
public:
  explicit Draw(unsigned seed) : engine_(seed) {}
  template <class T> T from(const std::vector<T>& values) { return values[engine_() % values.size()]; }
  SmallScenario scenario()
  {
    SmallScenario s;
    s.slice    = from<std::string>({"4x4x4", "4x4x3", "2x4x4", "8x2x2", "4x2x1"});
    s.pods     = from<int>({1, 1, 2});
    s.batch    = 192 * s.pods;
    s.model    = from<std::string>({"tiny", "tiny-serial"});
    s.remat    = from<std::string>({"none", "full", "attention", "palm-540b"});
    s.sharding = from<std::string>({"gspmd-2d", "tensor-1d", "fsdp"});
    s.software = from<std::string>({"xla-tpu-2021", "xla-tpu-2023"});
    if (s.sharding == "fsdp")
      s.mesh = {{"data", {"x", "y", "z"}}};
    if (s.pods > 1)
      s.mesh.emplace_back("pod", "dcn");
    s.changes = {"machine.chip.hbm_bandwidth=\"" + std::to_string(100 + engine_() % 2000) + " GB/s\"",
                 "machine.ici.link_bandwidth=\"" + std::to_string(1 + engine_() % 100) + " GB/s\"",
                 "software.prefetch_layers=" + std::to_string(engine_() % 3),
                 from<std::string>({"software.asynchronous=[]", R"(software.asynchronous=["weight gathers"])",
                                    R"(software.asynchronous=["gradient reductions","weight gathers"])"})};
    return s;
  }

private:
  std::mt19937_64 engine_;
};

} // namespace

TEST_CASE("properties of every step: the breakdown is the step, and no unit and no link beats its bound")
{
  Draw draw(20220405);
  for (int round = 0; round < 40; ++round) {
    const SmallScenario drawn = draw.scenario();
    CAPTURE(round, drawn.slice, drawn.pods, drawn.model, drawn.remat, drawn.sharding.dump(), drawn.changes);
    const Prepared p = test::prepare(drawn);
    const Metrics m  = measured(p, draw.from<Granularity>({Granularity::automatic, Granularity::chunk}));
    for (const Breakdown& breakdown : m.breakdowns)
      CHECK(sum(breakdown).value() == Approx(m.step_time.value()).epsilon(1e-12));
    // No faster than all its operations in a row without any communication, and no link busier than always.
    double compute = 0;
    for (const DeviceBlock& block : p.sharded.programs.front().blocks)
      for (const DeviceOperation& op : block.operations)
        compute +=
            op.kind == DeviceOperation::Kind::compute
                ? static_cast<double>(block.count) * operation_time(op.work, p.scenario.machine.chip).total().value()
                : 0;
    CHECK(m.step_time.value() >= compute * (1 - 1e-9));
    for (const LinkUse& link : m.links)
      CHECK(link.busy_fraction <= 1 + 1e-9);
    CHECK(m.mfu <= 1);
    CHECK(m.hfu >= m.mfu);
    CHECK(m.mfu > m.mfu_without_attention);
  }
}

TEST_CASE("utilisation by PaLM's formula")
{
  const Prepared p = test::prepare({});
  const Metrics m  = measured(p);
  // tiny: 3 layers, 24 heads of 16, sequence 64, 64 sequences, 64 chips of 100 TFLOP/s.
  const double per_token = 6 * p.program.model.parameters + 12.0 * 3 * 24 * 16 * 64;
  CHECK(m.tokens_per_s == 64.0 * 64 / m.step_time.value());
  CHECK(m.mfu == Approx(m.tokens_per_s * per_token / (64 * 100e12)));
}

TEST_CASE("bytes on the links are those that the collectives carry")
{
  const Prepared p = test::prepare({.model = "tiny-serial", .sharding = "fsdp", .mesh = {{"data", {"x", "y", "z"}}}});
  double carried   = 0;
  for (const DeviceBlock& block : p.sharded.programs.front().blocks)
    for (const DeviceOperation& op : block.operations)
      if (op.kind == DeviceOperation::Kind::collective)
        carried += static_cast<double>(block.count) * op.collective.full.value() * 63 / 64 *
                   (op.collective.kind == CollectiveKind::all_reduce ? 2 : 1);
  double sent = 0;
  for (const LinkUse& link : measured(p).links)
    sent += link.sent.value();
  CHECK(sent == Approx(carried)); // every device sends S (n-1)/n for a gather or a scatter of S
}

TEST_CASE("memory: what is kept and what is alive at once")
{
  const Prepared p = test::prepare({});
  const Memory m   = memory(p.sharded);
  const double n   = 3 * 192 * (2.0 * 24 * 16 + 2 * 16 + 3 * 768) + 1000 * 192; // without norm scales
  // Over 16 x 4 chips; the two key and value weights and the scales lie over the data axis only.
  const double whole = 3 * 192 * 2.0 * 16 + (3 + 1) * 192;
  const double local = (n - 3 * 192 * 2.0 * 16) / 64 + whole / 16;
  CHECK(m.parameters.value() == Approx(4 * local));
  CHECK(m.gradients.value() == Approx(2 * local));
  CHECK(m.optimizer_state.value() == Approx(8 * local));
  // One fully sharded activation a layer: 64 x 64 x 192 over 64 chips in bf16.
  CHECK(m.saved_activations.value() == 3 * 64.0 * 64 * 192 / 64 * 2);
  const double layer_weights = 192 * (2.0 * 24 * 16 / 4 + 2 * 16 + 3.0 * 768 / 4) * 2;
  CHECK(m.gathered_weights.value() <= layer_weights);
  CHECK(m.total() == m.parameters + m.gradients + m.optimizer_state + m.saved_activations + m.gathered_weights +
                         m.layer_gradients + m.workspace);
  // Keeping everything saves more than keeping nothing.
  CHECK(memory(test::prepare({.remat = "none"}).sharded).saved_activations > 5 * m.saved_activations);
}
