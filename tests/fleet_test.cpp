// Jobs in processes of their own: what becomes of one is its own affair.

#include "sim/app/fleet.hpp"

#include "sim/engine/executor.hpp"
#include "sim/engine/simgrid_engine.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace podsim;
using namespace std::chrono_literals;

namespace {

std::map<std::size_t, JobOutcome> outcomes(std::size_t count, const Job& job, const FleetOptions& options)
{
  std::map<std::size_t, JobOutcome> all;
  CHECK(run_jobs(
      count, job,
      [&](std::size_t index, JobOutcome outcome) {
        CHECK(!all.contains(index));
        all[index] = std::move(outcome);
      },
      options));
  CHECK(all.size() == count);
  return all;
}

} // namespace

TEST_CASE("fleet: each job's bytes arrive, large and empty ones among them, with any number of workers")
{
  const int workers = GENERATE(0, 1, 2, 7);
  const auto job = [](std::size_t index, bool) { return std::string(index * 50'000, static_cast<char>('a' + index)); };
  const auto all = outcomes(10, job, {.workers = workers});
  for (const auto& [index, outcome] : all) {
    CHECK(outcome.status == JobStatus::done);
    CHECK(outcome.bytes == job(index, true));
  }
  CHECK(outcomes(0, job, {}).empty());
}

TEST_CASE("fleet: what fails, crashes or hangs is reported, and the rest go on")
{
  const auto job = [](std::size_t index, bool) -> std::string {
    switch (index) {
    case 0:
      throw std::runtime_error("no such thing");
    case 1:
      std::signal(SIGSEGV, SIG_DFL); // Catch has a handler of its own
      std::raise(SIGSEGV);
      break;
    case 2:
      _exit(0); // without an answer
    case 3:
      std::raise(SIGKILL); // as the kernel does when memory runs out
      break;
    case 4:
      std::this_thread::sleep_for(30s);
      break;
    default:
      break;
    }
    return "fine";
  };
  auto all = outcomes(7, job, {.workers = 2, .time_out = 300ms});
  CHECK(all[0].status == JobStatus::failed);
  CHECK(describe(all[0]) == "no such thing");
  CHECK(all[1].status == JobStatus::crashed);
  CHECK(all[1].signal == SIGSEGV);
  CHECK_THAT(describe(all[1]), Catch::Contains("signal 11"));
  CHECK(all[2].status == JobStatus::crashed);
  CHECK_THAT(describe(all[2]), Catch::Contains("without an answer"));
  CHECK(all[3].status == JobStatus::killed);
  CHECK_THAT(describe(all[3]), Catch::Contains("memory"));
  CHECK(all[4].status == JobStatus::timed_out);
  CHECK_THAT(describe(all[4]), Catch::Contains("longer than 0.3 s"));
  for (const std::size_t sound : {5, 6})
    CHECK(all[sound].bytes == "fine");
}

TEST_CASE("fleet: an interrupt starts no more, and kills or finishes what is under way")
{
  const bool finish = GENERATE(true, false);
  std::vector<JobStatus> status(6, JobStatus::failed);
  const auto job = [](std::size_t index, bool) -> std::string {
    if (index == 1)
      kill(getppid(), SIGINT);
    std::this_thread::sleep_for(index == 0 ? 0ms : 500ms);
    return "fine";
  };
  CHECK_FALSE(run_jobs(6, job, [&](std::size_t index, const JobOutcome& outcome) { status[index] = outcome.status; },
                       {.workers = 1, .on_interrupt = finish ? OnInterrupt::finish : OnInterrupt::kill}));
  CHECK(status[0] == JobStatus::done);
  CHECK(status[1] == (finish ? JobStatus::done : JobStatus::not_run));
  for (std::size_t i = 2; i < 6; ++i)
    CHECK(status[i] == JobStatus::not_run);
}

TEST_CASE("routes that share a link are equally long, or SimGrid would share it by their latencies")
{
  const auto job = [](std::size_t index, bool) {
    SimgridEngine engine;
    const Link nic  = engine.add_link(1, 10);
    const Link near = engine.add_link(8, 0);
    const Link far  = engine.add_link(8, 5);
    engine.add_port({near, nic}, {});
    engine.add_port({index == 0 ? near : far, nic}, {});
    return std::string("made");
  };
  const auto all = outcomes(2, job, {.workers = 1});
  CHECK(all.at(0).bytes == "made");
  CHECK_THAT(describe(all.at(1)), Catch::Contains("differ in latency"));
}

TEST_CASE("fleet: a job whose fold stopped is run again in another process, once")
{
  const auto all = outcomes(3,
                            [](std::size_t index, bool in_process) -> std::string {
                              if (index == 2 || (index == 1 && in_process))
                                throw FoldStopped("stopped");
                              return in_process ? "in process" : "not in process";
                            },
                            {.workers = 1});
  CHECK(all.at(0).bytes == "in process");
  CHECK(all.at(1).bytes == "not in process");
  CHECK(all.at(2).status == JobStatus::failed);
  CHECK(describe(all.at(2)) == "stopped");
}

TEST_CASE("fleet: what the receiver throws ends the jobs and is passed on")
{
  const auto receive = [](std::size_t, const JobOutcome&) { throw std::runtime_error("disk full"); };
  CHECK_THROWS_WITH(run_jobs(4,
                             [](std::size_t index, bool) {
                               std::this_thread::sleep_for(index == 0 ? 0s : 30s);
                               return std::string("x");
                             },
                             receive, {.workers = 2}),
                    "disk full");
}
