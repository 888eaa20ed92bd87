// Schedules of pipelines, as one writes them out.

#include "sim/program/pipeline.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <utility>

using namespace podsim;

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
