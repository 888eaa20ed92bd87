// What holds of every step, and utilisation by hand.

#include "sim/metrics/possible.hpp"
#include "tests/support/measured.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace podsim;
using namespace podsim::test;

namespace {

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
    // The scales of norms are parameters without a product as well.
    CHECK(m.hfu >= *test::value_of("mfu", m, Counting::palm_without_lookup) * 0.998);
    CHECK_NOTHROW(check_possible(m, p.scenario.hash));
    CHECK(m.mfu > m.mfu_without_attention);
  }
}

TEST_CASE("no step beats the roofline, nor the bytes of its busiest link, with and without stages")
{
  Draw draw(1337);
  for (int round = 0; round < 40; ++round) {
    SmallScenario s   = draw.scenario();
    const bool staged = draw.from<int>({0, 1, 1}) == 1;
    if (staged) {
      const std::string schedule = draw.from<std::string>({"gpipe", "1f1b", "interleaved"});
      const int stages           = draw.from<int>({2, 4});
      const int micro_batches    = stages * draw.from<int>({1, 3});
      s.slice                    = draw.from<std::string>({"4x2x1", "2x2x2"});
      s.pods                     = stages;
      s.sharding                 = draw.from<std::string>({"gspmd-2d", "tensor-1d"});
      s.mesh                     = {{"data", {"y", "z"}}, {"model", "x"}, {"pipeline", "dcn"}};
      s.pipeline                 = {{"schedule", schedule}};
      s.micro_batch              = 1;
      s.batch                    = micro_batches * (s.slice == "4x2x1" ? 2 : 4);
      s.changes.push_back("model.layers=8");
      if (schedule == "interleaved")
        s.pipeline["chunks"] = 2;
    }
    CAPTURE(round, s.slice, s.pods, s.model, s.remat, s.sharding.dump(), s.pipeline.dump(), s.changes);
    const Prepared p       = test::prepare(s);
    const Machine& machine = p.scenario.machine;
    const Metrics m        = measured(p, draw.from<Granularity>({Granularity::automatic, Granularity::chunk}));
    const double peak      = machine.chip.matrix_peak.value() * static_cast<double>(machine.devices());
    CHECK(m.step_time.value() >= m.flops.model() * m.tokens_per_step / peak);
    for (std::size_t stage = 0; stage < p.sharded.stages.size(); ++stage) {
      double matrix = 0, hbm = 0, out = 0; // of one device; bytes that it sends to another pod
      for (const Step& step : p.sharded.stages[stage].steps)
        for (const DeviceOperation& op :
             p.sharded.program_of(stage).blocks[static_cast<std::size_t>(step.block)].operations) {
          matrix += step.count * op.work.matrix.flops().value();
          hbm += step.count * op.work.hbm.value();
          out += op.kind == DeviceOperation::Kind::send ? step.count * op.transfer.value() : 0;
        }
      CHECK(m.step_time.value() >= matrix / machine.chip.matrix_peak.value());
      CHECK(m.step_time.value() >= hbm / machine.chip.hbm_bandwidth.value());
      CHECK(m.step_time.value() >=
            out * static_cast<double>(machine.devices_per_host()) / machine.host.nic_bandwidth.value());
    }
    for (const LinkUse& link : m.links) {
      CHECK(link.busy_fraction <= 1 + 1e-9);
      // A device has two links on a torus axis, and its share of the host's NIC.
      const double rate = link.name == "dcn"
                              ? machine.host.nic_bandwidth.value() / static_cast<double>(machine.devices_per_host())
                              : 2 * machine.ici.effective().value();
      CHECK(m.step_time.value() * (1 + 1e-9) >= link.sent.value() / rate);
    }
    for (const Breakdown& breakdown : m.breakdowns)
      CHECK(sum(breakdown).value() == Approx(m.step_time.value()).epsilon(1e-12));
    CHECK(m.bubble >= -1e-12);
    CHECK(m.bubble < 1);
    CHECK_NOTHROW(check_possible(m, p.scenario.hash));
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
