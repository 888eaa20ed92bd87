// Pipelines: schedules written out by hand, steps whose length one can derive, and what stages send and keep.

#include "tests/support/small_scenario.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <set>

using namespace podsim;
using namespace podsim::test;
using nlohmann::json;

namespace {

constexpr auto gpipe       = PipelineSchedule::gpipe;
constexpr auto one_by_one  = PipelineSchedule::one_forward_one_backward;
constexpr auto interleaved = PipelineSchedule::interleaved;

// "F0 F1 B0 B1"; of several chunks "Fa0 Fb0 Bb0 Ba0".
std::string text(const Pipeline& pipeline, std::int64_t stage)
{
  std::string line;
  for (const ScheduledPass& pass : scheduled_passes(pipeline, stage)) {
    line += line.empty() ? "" : " ";
    line += pass.backward ? 'B' : 'F';
    if (pipeline.chunks > 1)
      line += static_cast<char>('a' + pass.chunk);
    line += std::to_string(pass.micro_batch);
  }
  return line;
}

// The most forward passes whose backward passes have not ended.
std::int64_t most_in_flight(const Pipeline& pipeline, std::int64_t stage)
{
  std::int64_t now  = 0;
  std::int64_t most = 0;
  for (const ScheduledPass& pass : scheduled_passes(pipeline, stage)) {
    now += pass.backward ? -1 : 1;
    most = std::max(most, now);
  }
  return most;
}

} // namespace

TEST_CASE("schedules as one writes them out")
{
  for (const std::int64_t stage : {0, 1})
    CHECK(text({gpipe, 2, 1, 3, {}}, stage) == "F0 F1 F2 B0 B1 B2");
  CHECK(text({one_by_one, 2, 1, 3, {}}, 0) == "F0 F1 B0 F2 B1 B2");
  CHECK(text({one_by_one, 2, 1, 3, {}}, 1) == "F0 B0 F1 B1 F2 B2");
  // Fewer micro-batches than stages: all go forward first.
  CHECK(text({one_by_one, 4, 1, 2, {}}, 0) == "F0 F1 B0 B1");
  CHECK(text({one_by_one, 4, 1, 2, {}}, 3) == "F0 B0 F1 B1");
  CHECK(text({one_by_one, 3, 1, 4, {}}, 1) == "F0 F1 B0 F2 B1 F3 B2 B3");
  CHECK(text({one_by_one, 1, 1, 2, {}}, 0) == "F0 B0 F1 B1");
}

TEST_CASE("four stages and eight micro-batches, as in figure 4 of Narayanan et al. 2021")
{
  const Pipeline plain{one_by_one, 4, 1, 8, {}};
  CHECK(text(plain, 0) == "F0 F1 F2 F3 B0 F4 B1 F5 B2 F6 B3 F7 B4 B5 B6 B7");
  CHECK(text(plain, 1) == "F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 F6 B4 F7 B5 B6 B7");
  CHECK(text(plain, 3) == "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7");
  const Pipeline two_chunks{interleaved, 4, 2, 8, {}};
  CHECK(text(two_chunks, 0) == "Fa0 Fa1 Fa2 Fa3 Fb0 Fb1 Fb2 Fb3 Fa4 Fa5 Fa6 Bb0 Fa7 Bb1 Fb4 Bb2 Fb5 Bb3 Fb6 Ba0 Fb7 "
                               "Ba1 Ba2 Ba3 Bb4 Bb5 Bb6 Bb7 Ba4 Ba5 Ba6 Ba7");
  CHECK(text(two_chunks, 3) == "Fa0 Fa1 Fa2 Fa3 Fb0 Bb0 Fb1 Bb1 Fb2 Bb2 Fb3 Bb3 Fa4 Ba0 Fa5 Ba1 Fa6 Ba2 Fa7 Ba3 Fb4 "
                               "Bb4 Fb5 Bb5 Fb6 Bb6 Fb7 Bb7 Ba4 Ba5 Ba6 Ba7");
  CHECK(text({interleaved, 2, 2, 4, {}}, 0) == "Fa0 Fa1 Fb0 Fb1 Fa2 Bb0 Fa3 Bb1 Fb2 Ba0 Fb3 Ba1 Bb2 Bb3 Ba2 Ba3");
  // As many micro-batches as stages: all forward passes first (as in Megatron).
  CHECK(text({interleaved, 2, 2, 2, {}}, 1) == "Fa0 Fa1 Fb0 Fb1 Bb0 Bb1 Ba0 Ba1");
}

TEST_CASE("every chunk of every micro-batch goes forward once and then backward once")
{
  for (const PipelineSchedule schedule : {gpipe, one_by_one, interleaved})
    for (const std::int64_t stages : {1, 2, 3, 4, 8})
      for (const std::int64_t chunks : {1, 2, 3})
        for (const std::int64_t micro_batches : {1, 2, 3, 4, 8, 12, 24}) {
          if (schedule == interleaved ? chunks == 1 || micro_batches % stages != 0 : chunks > 1)
            continue;
          const Pipeline pipeline{schedule, stages, chunks, micro_batches, {}};
          for (std::int64_t stage = 0; stage < stages; ++stage) {
            CAPTURE(static_cast<int>(schedule), stages, chunks, micro_batches, stage);
            std::set<std::pair<int, int>> forward, backward;
            bool in_order = true;
            for (const ScheduledPass& pass : scheduled_passes(pipeline, stage)) {
              const std::pair<int, int> key(pass.chunk, pass.micro_batch);
              in_order = in_order && (pass.backward ? backward : forward).insert(key).second &&
                         (!pass.backward || forward.contains(key));
            }
            CHECK(in_order);
            CHECK(forward.size() == static_cast<std::size_t>(chunks * micro_batches));
            CHECK(backward == forward);
            if (schedule == gpipe)
              CHECK(most_in_flight(pipeline, stage) == micro_batches);
            if (schedule == one_by_one)
              CHECK(most_in_flight(pipeline, stage) == std::min(stages - stage, micro_batches));
            if (schedule == interleaved &&
                micro_batches > stages) // section 2.2: p - s - 1 pairs and v - 1 groups ahead
              CHECK(most_in_flight(pipeline, stage) ==
                    std::min(2 * (stages - stage - 1) + (chunks - 1) * stages + 1, chunks * micro_batches));
          }
        }
}

// ---- Steps of a known length: stages of one device each, whose forward and backward passes of a chunk take what the
// test says. ----

namespace {

struct Timing {
  double forward, backward; // seconds a layer
  double transfer = 0;
  bool blocking   = false;
  bool receives   = false; // block as well
};

struct Run {
  double step, bubble;
};

json pipeline_part(const std::string& schedule, int chunks)
{
  json part{{"schedule", schedule}};
  if (chunks > 1)
    part["chunks"] = chunks;
  return part;
}

Run run_stages(const std::string& schedule, int stages, int chunks, int micro_batches, const Timing& timing)
{
  Prepared p                 = test::prepare({.slice       = "1x1x1",
                                              .pods        = stages,
                                              .model       = "tiny-serial",
                                              .batch       = micro_batches,
                                              .sharding    = "data-parallel",
                                              .mesh        = {{"pipeline", "dcn"}},
                                              .pipeline    = pipeline_part(schedule, chunks),
                                              .micro_batch = 1,
                                              .changes     = {"model.layers=" + std::to_string(stages * chunks)}});
  Machine& machine           = p.scenario.machine; // only layers take time, and transfers what they are given
  machine.chip.dispatch      = Seconds(0);
  machine.chip.hbm_bandwidth = BytesPerSecond(1e9);
  machine.dcn_latency        = Seconds(0);
  machine.host.nic_bandwidth = BytesPerSecond(1e9);
  ShardedProgram sharded     = p.sharded;
  sharded.blocking_transfers = timing.blocking;
  sharded.blocking_receives  = timing.receives;
  for (DeviceProgram& program : sharded.programs)
    for (DeviceBlock& block : program.blocks) {
      DeviceOperation first = block.operations.front();
      first.work            = {};
      if (first.kind == DeviceOperation::Kind::compute && block.role == BlockRole::layers)
        first.work.hbm = Bytes(timing.forward * 1e9);
      if (first.kind == DeviceOperation::Kind::compute && block.role == BlockRole::layers_backward)
        first.work.hbm = Bytes(timing.backward * 1e9);
      first.transfer   = Bytes(timing.transfer * 1e9);
      first.kind       = first.kind == DeviceOperation::Kind::collective ? DeviceOperation::Kind::compute : first.kind;
      block.operations = {first};
    }
  const TimedProgram timed =
      time_program(sharded, machine, p.scenario.placement, MultiAxis::sequential, Granularity::automatic);
  const Trace trace = podsim::simulate(sharded, timed, machine, p.scenario.placement,
                                       {.granularity = Granularity::automatic, .progress = {}});
  return {trace.end.value(), measure(p.program, sharded, timed, machine, p.scenario.placement, trace).bubble};
}

constexpr double tiny_error = 1e-9; // transfers of a tick or two

} // namespace

TEST_CASE("equal stages without transfer cost: the bubble of GPipe and 1F1B is (p - 1) / m of the ideal time")
{
  const Timing t{2e-3, 3e-3};
  for (const char* schedule : {"gpipe", "1f1b"})
    for (const auto& [p, m] : {std::pair(2, 1), {2, 6}, {3, 4}, {4, 2}, {4, 8}, {8, 8}}) {
      CAPTURE(schedule, p, m);
      const Run run = run_stages(schedule, p, 1, m, t);
      CHECK(run.step == Approx((m + p - 1) * (t.forward + t.backward)).margin(tiny_error));
      CHECK(run.bubble == Approx((p - 1.0) / (m + p - 1)).margin(1e-6));
    }
}

TEST_CASE("equal stages without transfer cost: interleaving divides the bubble by the chunks")
{
  const Timing chunk{1e-3, 2e-3}; // of a chunk; a stage has v of them
  for (const auto& [p, v, m] : {std::tuple(2, 2, 4), {2, 3, 4}, {4, 2, 8}, {4, 4, 12}, {3, 2, 3}, {2, 2, 2}}) {
    CAPTURE(p, v, m);
    const Run run      = run_stages("interleaved", p, v, m, chunk);
    const double ideal = m * v * (chunk.forward + chunk.backward);
    const double idle  = (p - 1) * (chunk.forward + chunk.backward);
    CHECK(run.step == Approx(ideal + idle).margin(tiny_error));
    CHECK(run.bubble == Approx(idle / (ideal + idle)).margin(1e-6));
  }
}

TEST_CASE("transfers of a known time, behind the computation and blocking it")
{
  Timing t{2e-3, 3e-3, 0.5e-3, false};
  const double pass = t.forward + t.backward;
  SECTION("one micro-batch: all in a row")
  {
    for (const bool blocking : {false, true}) {
      t.blocking = blocking;
      CHECK(run_stages("1f1b", 2, 1, 1, t).step == Approx(2 * pass + 2 * t.transfer).margin(tiny_error));
      CHECK(run_stages("1f1b", 4, 1, 1, t).step == Approx(4 * pass + 6 * t.transfer).margin(tiny_error));
    }
  }
  SECTION("GPipe: what is sent beside the computation is exposed once each way")
  {
    for (const int m : {1, 2, 7}) {
      const Run run     = run_stages("gpipe", 2, 1, m, t);
      const double step = (m + 1) * pass + 2 * t.transfer;
      CHECK(run.step == Approx(step).margin(tiny_error));
      // The second stage waits for the first pass, and at the end while the first gets and ends its last one; the first
      // between its passes, for the first of the second's. The transfers themselves are exposed time, not idle.
      CHECK(run.bubble == Approx((pass + t.transfer) / step).margin(1e-6));
    }
  }
  SECTION("GPipe, blocking: each of both stages' passes takes its transfer longer")
  {
    t.blocking = true;
    for (const int m : {1, 2, 7})
      CHECK(run_stages("gpipe", 2, 1, m, t).step == Approx(m * (pass + 2 * t.transfer) + pass).margin(tiny_error));
  }
  SECTION("1F1B, blocking both sides: a stage that comes late waits for the whole transfer")
  {
    t.blocking = true;
    for (const bool receives : {false, true}) {
      t.receives = receives;
      CHECK(run_stages("1f1b", 2, 1, 1, t).step == Approx(2 * pass + 2 * t.transfer).margin(tiny_error));
      // The second stage: F0, B0, the gradient sent; only then does it take the second activation, long since there.
      CHECK(run_stages("1f1b", 2, 1, 2, t).step ==
            Approx(3 * pass + (receives ? 4 : 3) * t.transfer).margin(tiny_error));
    }
  }
  SECTION("1F1B: a micro-batch goes down two transfers after the one before last has come up")
  {
    // Down, up, and down again: every other micro-batch takes the round of both stages and both transfers.
    for (const int m : {2, 4, 8})
      CHECK(run_stages("1f1b", 2, 1, m, t).step == Approx((m + 1) * pass + m * t.transfer).margin(tiny_error));
  }
}

// ---- What stages compute, send and keep ----

namespace {

// tiny-serial of 8 layers, in stages on the DCN, 2 x 2 x 1 chips each.
SmallScenario staged(const std::string& schedule, int stages, int chunks, int micro_batches)
{
  return {.slice       = "2x2x1",
          .pods        = stages,
          .model       = "tiny-serial",
          .batch       = 2 * micro_batches,
          .remat       = "full",
          .sharding    = "tensor-1d",
          .mesh        = {{"data", "x"}, {"model", "y"}, {"pipeline", "dcn"}},
          .pipeline    = pipeline_part(schedule, chunks),
          .micro_batch = 1,
          .changes     = {"model.layers=8"}};
}

// Calls f(operation, times) for all a stage does in a step.
template <class F> void each_operation(const ShardedProgram& program, std::size_t stage, const F& f)
{
  for (const Step& step : program.stages[stage].steps)
    for (const DeviceOperation& op : program.program_of(stage).blocks[static_cast<std::size_t>(step.block)].operations)
      f(op, static_cast<double>(step.count));
}

} // namespace

TEST_CASE("what goes down and up a pipeline arrives, and is the activation of each micro-batch at each cut")
{
  for (const auto& [schedule, chunks] : {std::pair("gpipe", 1), {"1f1b", 1}, {"interleaved", 2}})
    for (const bool scattered : {false, true}) {
      const int p = 4, m = 8;
      SmallScenario scenario = staged(schedule, p, chunks, m);
      scenario.changes.push_back(std::string("software.scattered_transfers=") + (scattered ? "true" : "false"));
      const ShardedProgram program = test::prepare(scenario).sharded;
      std::map<std::pair<bool, int>, double> bytes; // sent?, towards
      for (std::size_t stage = 0; stage < program.stages.size(); ++stage)
        each_operation(program, stage, [&](const DeviceOperation& op, double times) {
          if (op.kind == DeviceOperation::Kind::send || op.kind == DeviceOperation::Kind::receive)
            bytes[{op.kind == DeviceOperation::Kind::send, op.towards}] += op.transfer.value() * times;
        });
      CAPTURE(schedule, scattered);
      // One sequence of 64 tokens, 192 channels in bf16, of which two devices may send a half each.
      const double each = 64 * 192 * 2 / (scattered ? 2.0 : 1.0);
      for (const bool sent : {false, true})
        for (const int towards : {-1, 1})
          CHECK(bytes[{sent, towards}] == m * (p * chunks - 1) * each);
    }
}

TEST_CASE("the devices of all stages together execute the program's FLOPs")
{
  for (const auto& [schedule, chunks, layers] :
       {std::tuple("1f1b", 1, "null"), {"interleaved", 2, "null"}, {"1f1b", 1, "[1,3,3,1]"}}) {
    SmallScenario scenario = staged(schedule, 4, chunks, 4);
    if (layers != std::string("null"))
      scenario.pipeline["layers"] = json::parse(layers);
    const Prepared p  = test::prepare(scenario);
    double of_program = 0, of_devices = 0, without_stages = 0;
    for (const std::size_t program : p.program.program_of)
      for (const Block& block : p.program.programs[program].blocks)
        for (const Operation& op : block.operations)
          of_program += static_cast<double>(block.count * 4) * flops(block, op);
    for (std::size_t stage = 0; stage < 4; ++stage)
      each_operation(p.sharded, stage, [&](const DeviceOperation& op, double times) {
        of_devices += 4 * times * op.work.matrix.flops().value();
      });
    scenario.pods = 1;
    scenario.mesh.pop_back();
    scenario.pipeline    = nullptr;
    const Prepared whole = test::prepare(scenario);
    each_operation(whole.sharded, 0, [&](const DeviceOperation& op, double times) {
      without_stages += 4 * times * op.work.matrix.flops().value();
    });
    CAPTURE(schedule, layers);
    CHECK(of_devices == Approx(of_program).epsilon(1e-12));
    CHECK(of_devices == Approx(without_stages).epsilon(1e-12));
    CHECK(flops_per_token(p.program).repeated == Approx(flops_per_token(whole.program).repeated).epsilon(1e-12));
  }
}

TEST_CASE("1F1B keeps the activations of p - s micro-batches, GPipe those of all")
{
  // 2 layers a stage; full remat saves the layer's input: 64 sequences of 64 x 192 in bf16, so that the worst moment is
  // in a backward pass. The first stage, with the most micro-batches, is the one that needs most.
  const double layer = 64 * 64 * 192 * 2;
  const auto staged  = [](const char* schedule, int stages, int chunks, int micro_batches) {
    SmallScenario scenario = ::staged(schedule, stages, chunks, micro_batches);
    scenario.batch *= 64;
    scenario.micro_batch = 64;
    return scenario;
  };
  CHECK(memory(test::prepare(staged("1f1b", 4, 1, 16)).sharded).saved_activations.value() == 4 * 2 * layer);
  CHECK(memory(test::prepare(staged("1f1b", 2, 1, 16)).sharded).saved_activations.value() == 2 * 4 * layer);
  CHECK(memory(test::prepare(staged("1f1b", 4, 1, 2)).sharded).saved_activations.value() == 2 * 2 * layer);
  CHECK(memory(test::prepare(staged("gpipe", 4, 1, 16)).sharded).saved_activations.value() == 16 * 2 * layer);
  // Interleaved, 2 chunks of a layer each: 2 (p - 1) + p + 1 of them in flight.
  CHECK(memory(test::prepare(staged("interleaved", 4, 2, 16)).sharded).saved_activations.value() == 11 * layer);
  // Each stage for itself.
  const ShardedProgram whole = test::prepare(staged("1f1b", 4, 1, 16)).sharded;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    ShardedProgram alone = whole;
    alone.stages         = {whole.stages[stage]};
    CHECK(memory(alone).saved_activations.value() == static_cast<double>(4 - stage) * 2 * layer);
  }
}

// ---- ZeRO ----

namespace {

// tiny-serial: 2 layers of 4 x 192 x 192 + 2 x 192 x 384 weights, two tables of 1000 x 192, 64 learned positions.
constexpr double layer_weights = 4.0 * 192 * 192 + 2 * 192 * 384;
constexpr double weights       = 2 * layer_weights + 2 * 1000.0 * 192 + 64 * 192;

// Sharded over 4 chips of data to this degree.
SmallScenario zero(int degree, std::vector<std::string> changes = {})
{
  const json split{{"embed", "data"}}, whole = json::object();
  const json batch{{"batch", "data"}};
  const json sharding{{"name", "zero"},
                      {"weights", degree >= 3 ? split : whole},
                      {"gradients", degree >= 2 ? split : whole},
                      {"optimizer", degree >= 1 ? split : whole},
                      {"activations", batch},
                      {"compute", batch}};
  return {.slice       = "4x1x1",
          .model       = "tiny-serial",
          .batch       = 16,
          .remat       = "none",
          .sharding    = sharding,
          .mesh        = {{"data", {"x", "y", "z"}}},
          .micro_batch = 1,
          .changes     = std::move(changes)};
}

// Bytes of all the full tensors that a step's collectives of a kind carry, scalars apart.
double carried(const Prepared& p, CollectiveKind kind)
{
  double sum = 0;
  each_operation(p.sharded, 0, [&](const DeviceOperation& op, double times) {
    if (op.kind == DeviceOperation::Kind::collective && op.collective.kind == kind && op.collective.full.value() > 4)
      sum += times * op.collective.full.value();
  });
  return sum;
}

constexpr auto gather  = CollectiveKind::all_gather;
constexpr auto scatter = CollectiveKind::reduce_scatter;
constexpr auto reduce  = CollectiveKind::all_reduce;
const std::string last = R"(software.reduce_gradients="last micro-batch")";
const std::string bf16 = "software.parameters_dtype=bf16";

} // namespace

TEST_CASE("ZeRO: what stays on a device")
{
  for (const int degree : {0, 1, 2, 3}) {
    CAPTURE(degree);
    const Memory m = memory(test::prepare(zero(degree)).sharded);
    CHECK(m.parameters.value() == weights * 4 / (degree >= 3 ? 4 : 1));
    CHECK(m.gradients.value() == weights * 2 / (degree >= 2 ? 4 : 1));
    CHECK(m.optimizer_state.value() == weights * 8 / (degree >= 1 ? 4 : 1));
    // In bf16, beside a master copy in f32 that lies with the optimizer's state.
    const Memory half = memory(test::prepare(zero(degree, {bf16})).sharded);
    CHECK(half.parameters.value() == weights * 2 / (degree >= 3 ? 4 : 1));
    CHECK(half.optimizer_state.value() == weights * 12 / (degree >= 1 ? 4 : 1));
  }
}

TEST_CASE("ZeRO: gradients that wait for the last micro-batch are whole until then, as with FSDP's no_sync")
{
  for (const int degree : {0, 1, 2, 3})
    CHECK(memory(test::prepare(zero(degree, {last})).sharded).gradients.value() == Approx(weights * 2));
  // Of one micro-batch nothing waits.
  SmallScenario one = zero(3, {last});
  one.micro_batch   = 4;
  CHECK(memory(test::prepare(one).sharded).gradients.value() == weights * 2 / 4);
}

TEST_CASE("ZeRO: what a step of four micro-batches communicates")
{
  for (const std::string& parameters : {std::string("software.parameters_dtype=f32"), bf16}) {
    const double stored = parameters == bf16 ? 2 : 4;
    for (const bool each : {true, false}) {
      std::vector<std::string> changes{parameters};
      if (!each)
        changes.push_back(last);
      const double times = each ? 4 : 1;
      CAPTURE(parameters, each);
      const Prepared none = test::prepare(zero(0, changes));
      CHECK(carried(none, reduce) == times * weights * 2);
      CHECK(carried(none, gather) == 0);
      CHECK(carried(none, scatter) == 0);
      const Prepared one = test::prepare(zero(1, changes));
      CHECK(carried(one, reduce) == times * weights * 2);
      CHECK(carried(one, gather) == weights * stored); // the updated weights
      CHECK(carried(one, scatter) == 0);
      const Prepared two = test::prepare(zero(2, changes));
      CHECK(carried(two, scatter) == times * weights * 2);
      CHECK(carried(two, gather) == weights * stored);
      CHECK(carried(two, reduce) == 0);
    }
  }
  // ZeRO-3 gathers for each pass: the layers' weights twice a micro-batch, the tables where they are read.
  const Prepared three = test::prepare(zero(3));
  CHECK(carried(three, scatter) == 4 * weights * 2);
  CHECK(carried(three, reduce) == 0);
  CHECK(carried(three, gather) >= 4 * 2 * 2 * layer_weights * 2);
  CHECK(carried(three, gather) <= 4 * 2 * weights * 2);
}

TEST_CASE("gradients of micro-batches are added up in the products or by kernels of their own")
{
  const auto moved = [](const char* accumulation, const char* dtype, bool kernels) {
    const Prepared p = test::prepare(zero(0, {std::string("software.gradient_accumulation=") + accumulation,
                                              std::string("software.accumulation_dtype=") + dtype, last}));
    double bytes     = 0;
    each_operation(p.sharded, 0, [&](const DeviceOperation& op, double times) {
      if (op.pass != Pass::update && op.name.starts_with("accumulate ") == kernels)
        bytes += times * op.work.hbm.value();
    });
    return bytes;
  };
  // Einsums' gradients: all weights but the embedding and the positions, which are looked up.
  const double products = 2 * layer_weights + 1000 * 192;
  const double without  = moved("none", "f32", false);
  CHECK(moved("none", "f32", true) == 0);
  for (const auto& [dtype, size] : {std::pair("f32", 4.0), {"bf16", 2.0}}) {
    // Fused, the sum is read and written instead of the product's own bf16 result; four times.
    CHECK(moved("fused", dtype, false) - without == Approx(4 * products * (2 * size - 2)));
    CHECK(moved("fused", dtype, true) == 0);
    // Separately, the result is written, read, and the sum read and written.
    CHECK(moved("separate", dtype, false) == Approx(without));
    CHECK(moved("separate", dtype, true) == Approx(4 * products * (2 + 2 * size)));
  }
}

// The embedding on a stage of its own, then all 8 layers, then the loss by itself. tiny-serial has 1000 words and 64
// positions of 192 channels, and attention weights 4 x 192 x 192 and MLP weights 2 x 192 x 384 a layer; the two devices
// of the model axis share all but the positions, each in f32 (4 bytes).
TEST_CASE("a stage may have no layers: the embedding or the loss by itself")
{
  SmallScenario scenario      = staged("1f1b", 3, 1, 4);
  scenario.pipeline["layers"] = {0, 8, 0};
  const Prepared p            = test::prepare(scenario);
  REQUIRE(p.sharded.stages.size() == 3);
  const auto parameters = [&](std::size_t stage) { return p.sharded.program_of(stage).resident.parameters.value(); };
  CHECK(parameters(0) == 4 * (1000 * 192 / 2 + 64 * 192));
  CHECK(parameters(1) == 4 * 8 * (4 * 192 * 192 + 2 * 192 * 384) / 2);
  CHECK(parameters(2) == 4 * 1000 * 192 / 2);

  // 4 micro-batches of a sequence of 64 tokens on each of 2 replicas: a layer's products forward, again and twice
  // backward are all on the stage in the middle, the logits (three products) on the last, none on the first.
  const auto flops = [&](std::size_t stage) {
    double sum = 0;
    each_operation(p.sharded, stage,
                   [&](const DeviceOperation& op, double times) { sum += op.work.matrix.flops().value() * times; });
    return sum;
  };
  const double layer = 2.0 * 64 * (4 * 192 * 192 + 2 * 192 * 384) + 2.0 * 2 * 64 * 64 * 192;
  CHECK(flops(0) == 0);
  CHECK(flops(1) == Approx(4 * 8 * 4 * layer / 2));
  CHECK(flops(2) == Approx(4 * 3 * 2.0 * 64 * 192 * 1000 / 2));
  for (const auto granularity : {Granularity::collective, Granularity::chunk})
    for (const bool skips : {true, false})
      CHECK(test::simulate(p, granularity, false, skips).end == test::simulate(p, granularity, true, false).end);
}

TEST_CASE("an interleaved schedule may have a piece without layers")
{
  SmallScenario scenario      = staged("interleaved", 2, 2, 4);
  scenario.pipeline["layers"] = {0, 4, 4, 0};
  const Prepared p            = test::prepare(scenario);
  CHECK(test::simulate(p, Granularity::chunk, false).end == test::simulate(p, Granularity::chunk, true).end);
}
