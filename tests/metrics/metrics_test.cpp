#include "sim/metrics/possible.hpp"
#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace podsim;
using namespace podsim::test;

namespace {

Metrics measured(const Prepared& p, Granularity granularity = Granularity::automatic)
{
  const Scenario& s = p.scenario;
  return measure(p.program, p.sharded, timed_program(p, granularity), s.machine, s.placement,
                 test::simulate(p, granularity, false));
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
  CHECK(m.total() == m.parameters + m.gradients + m.optimizer_state + m.saved_activations + m.gathered_weights +
                         m.layer_gradients + m.workspace);
  // Keeping everything saves more than keeping nothing.
  CHECK(memory(test::prepare({.remat = "none"}).sharded).saved_activations > 5 * m.saved_activations);
}

namespace {

// Programs of a few operations on 4x4x4 chips of the generic machine: 100 TFLOP/s, 1 TB/s, 10 TOP/s, 1 us dispatch,
// links of 10 GB/s, 1 us a hop. Mesh axes: bit 0 data on y and z, bit 1 model on x.
DeviceOperation compute(Work work, std::vector<int> needs = {}, Pass pass = Pass::forward)
{
  DeviceOperation op{.name = "compute", .kind = DeviceOperation::Kind::compute, .pass = pass};
  op.work  = work;
  op.needs = std::move(needs);
  return op;
}

DeviceOperation gather(AxisMask axes, Bytes full, bool asynchronous = false, std::vector<int> needs = {})
{
  DeviceOperation op{.name = "gather", .kind = DeviceOperation::Kind::collective};
  op.collective   = {CollectiveKind::all_gather, axes, full};
  op.asynchronous = asynchronous;
  op.needs        = std::move(needs);
  return op;
}

DeviceBlock block(std::string name, std::int64_t count, std::vector<DeviceOperation> operations)
{
  DeviceBlock made;
  made.name       = std::move(name);
  made.count      = count;
  made.operations = std::move(operations);
  return made;
}

Metrics measured(const Prepared& p, const ShardedProgram& program, Granularity granularity = Granularity::automatic)
{
  const Scenario& s = p.scenario;
  return measure(p.program, program, time_program(program, s.machine, s.placement, MultiAxis::sequential, granularity),
                 s.machine, s.placement,
                 test::simulate(program, s.machine, s.placement, MultiAxis::sequential, granularity));
}

double part(const Metrics& m, const std::string& name)
{
  double sum = 0;
  for (const auto& [known, time] : m.breakdowns[m.critical])
    sum += known == name ? time.value() : 0;
  return sum;
}

const Work matrix_work{{1, 1000, 1000, 50000}, Bytes(0), Ops(0)};              // 1 ms
const Work hbm_work{{0, 0, 0, 0}, Bytes(2e9), Ops(0)};                         // 2 ms
const Work vector_work{{0, 0, 0, 0}, Bytes(0), Ops(30e6 * 1e3)};               // 3 ms
constexpr double gather_x_time  = 1.5 * 16e6 / 10e9 + 2e-6;                    // of 64 MB over 4 chips
constexpr double gather_yz_time = 1.5 * 4e6 / 10e9 + 1.5 * 16e6 / 10e9 + 4e-6; // over 4 x 4

} // namespace

TEST_CASE("each part of the breakdown is what it says")
{
  const Prepared p = test::prepare({});
  const ShardedProgram program =
      one_stage(p.scenario.mesh, {block("layer", 2,
                                        {compute(matrix_work), compute(hbm_work), compute(vector_work),
                                         gather(2, Bytes(64e6)), gather(1, Bytes(64e6))}),
                                  block("update", 1, {compute(hbm_work, {}, Pass::update)})});
  const Metrics m = measured(p, program);
  CHECK(part(m, "matrix_unit") == Approx(2 * 1e-3));
  CHECK(part(m, "hbm") == Approx(2 * 2e-3));
  CHECK(part(m, "vector_unit") == Approx(2 * 3e-3));
  CHECK(part(m, "overhead") == Approx(6 * 1e-6)); // a dispatch each, besides the update's
  CHECK(part(m, "exposed_ici_model") == Approx(2 * gather_x_time));
  CHECK(part(m, "exposed_ici_data") == Approx(2 * gather_yz_time));
  CHECK(part(m, "optimizer") == Approx(2e-3 + 1e-6));
  CHECK(part(m, "idle") == 0);
  // The links: 4.5 of 16 MB a step go over x, each link being busy for 1.5 chunks of 16 MB in each of two gathers.
  for (const LinkUse& link : m.links)
    if (link.name == "ici_x") {
      CHECK(link.sent.value() == Approx(2 * 3 * 16e6));
      CHECK(link.busy_fraction == Approx(2 * 1.5 * 16e6 / 10e9 / m.step_time.value()));
    }
}

TEST_CASE("only what an asynchronous collective does not hide is exposed, on its own axes")
{
  const Prepared p   = test::prepare({});
  const auto exposed = [&](const Work& behind) {
    const ShardedProgram program =
        one_stage(p.scenario.mesh,
                  {block("layer", 1, {gather(1, Bytes(64e6), true), compute(behind), compute(matrix_work, {0})})});
    const Metrics m = measured(p, program);
    CHECK(part(m, "exposed_ici_model") == 0);
    CHECK(part(m, "idle") == 0);
    return part(m, "exposed_ici_data");
  };
  CHECK(exposed(matrix_work) == Approx(gather_yz_time - 1.001e-3));
  CHECK(exposed({{0, 0, 0, 0}, Bytes(50e9), Ops(0)}) == 0);
}

TEST_CASE("a collective over torus and pods is exposed on both, and the burst is that of the DCN alone")
{
  const Prepared p = test::prepare(
      {.slice = "4x2x2", .pods = 2, .batch = 32, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}});
  DeviceOperation reduce = gather(2 | 4, Bytes(64e6));
  reduce.collective.kind = CollectiveKind::all_reduce;
  const Metrics m        = measured(p, one_stage(p.scenario.mesh, {block("layer", 1, {reduce})}));
  const double dcn       = 2 * 8e6 / 2e9 + 10e-6; // 16 MB a chip are left, halves of them go at 8 GB/s for 4 chips
  CHECK(part(m, "exposed_ici_model") == Approx(2 * gather_x_time).epsilon(1e-6));
  CHECK(part(m, "exposed_dcn_pod") == Approx(dcn).epsilon(1e-6));
  CHECK(m.dcn_burst.value() == Approx(32 * 16e6 / dcn).epsilon(1e-6));
}

TEST_CASE("memory at the worst moment, what other iterations have in flight among it")
{
  const Prepared p       = test::prepare({});
  DeviceBlock layer      = block("layer", 4,
                                 {gather(1, Bytes(100), true), compute(matrix_work, {0}), compute(hbm_work, {1}),
                                  gather(1, Bytes(30), true, {2})});
  layer.buffers          = {{"weights", Buffer::Kind::gathered_weights, Bytes(100), 0, 1},
                            {"hidden", Buffer::Kind::workspace, Bytes(7), 1, 2},
                            {"gradient", Buffer::Kind::gradients, Bytes(30), 2, 3}};
  layer.saved            = Bytes(5);
  ShardedProgram program = one_stage(p.scenario.mesh, {layer}, {Bytes(1000), Bytes(2000), Bytes(500)});
  // In operation 1: weights and hidden, and the gradient of the layer before, which is still being reduced.
  CHECK(memory(program).gathered_weights.value() == 100);
  CHECK(memory(program).workspace.value() == 7);
  CHECK(memory(program).layer_gradients.value() == 30);
  CHECK(memory(program).saved_activations.value() == 4 * 5);
  CHECK(memory(program).total().value() == 3500 + 20 + 100 + 7 + 30);
  program.prefetch_iterations = 2; // the next two layers' weights as well
  CHECK(memory(program).gathered_weights.value() == 300);
  program.prefetch_iterations = 1000; // there are three more layers only
  CHECK(memory(program).gathered_weights.value() == 400);
  // Blocking, nothing is in flight beside.
  for (DeviceOperation& op : program.programs[0].blocks[0].operations)
    op.asynchronous = false;
  CHECK(memory(program).gathered_weights.value() == 100);
  CHECK(memory(program).layer_gradients.value() == 0);
}

TEST_CASE("pods that step together wait for the slowest")
{
  // The largest of n draws of an exponential distribution of scale 1 is 1 + 1/2 + ... + 1/n on average, of one 1.
  CHECK(waiting_for_slower_pods(0.1, 1) == 0);
  CHECK(waiting_for_slower_pods(0.1, 2) == Approx(0.05));
  CHECK(waiting_for_slower_pods(0.1, 4) == Approx(0.1 * (1.0 / 2 + 1.0 / 3 + 1.0 / 4)));
  const test::SmallScenario two{
      .pods = 2, .batch = 128, .mesh = {{"data", {"y", "z"}}, {"model", "x"}, {"pod", "dcn"}}};
  test::SmallScenario spread = two;
  spread.changes             = {"machine.dcn.pod_spread=0.1"};
  const Metrics alike        = measured(test::prepare(two));
  const Metrics waiting      = measured(test::prepare(spread));
  CHECK(waiting.step_time / alike.step_time == Approx(1.05));
  CHECK(part(waiting, "slower_pods") == Approx(0.05 * alike.step_time.value()));
  CHECK(sum(waiting.breakdowns[waiting.critical]).value() == Approx(waiting.step_time.value()));
}
