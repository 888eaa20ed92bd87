// Jobs in processes of their own: what becomes of one is its own affair.

#include "sim/core/errors.hpp"
#include "sim/jobs/fleet.hpp"

#include <algorithm>
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
  const auto job    = [](std::size_t index) { return std::string(index * 50'000, static_cast<char>('a' + index)); };
  const auto all    = outcomes(10, job, {.workers = workers});
  for (const auto& [index, outcome] : all) {
    CHECK(outcome.status == Status::ok);
    CHECK(outcome.bytes == job(index));
  }
  CHECK(outcomes(0, job, {}).empty());
}

TEST_CASE("fleet: what fails, crashes or hangs is reported, and the rest go on")
{
  const auto job = [](std::size_t index) -> std::string {
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
  CHECK(all[0].status == Status::failed);
  CHECK(describe(all[0]) == "no such thing");
  CHECK(all[1].status == Status::crashed);
  CHECK(all[1].signal == SIGSEGV);
  CHECK_THAT(describe(all[1]), Catch::Contains("signal 11"));
  CHECK(all[2].status == Status::crashed);
  CHECK_THAT(describe(all[2]), Catch::Contains("without an answer"));
  CHECK(all[3].status == Status::killed);
  CHECK_THAT(describe(all[3]), Catch::Contains("memory"));
  CHECK(all[4].status == Status::timed_out);
  CHECK_THAT(describe(all[4]), Catch::Contains("longer than 0.3 s"));
  for (const std::size_t sound : {5, 6})
    CHECK(all[sound].bytes == "fine");
}

TEST_CASE("fleet: an interrupt starts no more, and kills or finishes what is under way")
{
  const bool finish = GENERATE(true, false);
  std::vector<Status> status(6, Status::failed);
  const auto job = [](std::size_t index) -> std::string {
    if (index == 1)
      kill(getppid(), SIGINT);
    std::this_thread::sleep_for(index == 0 ? 0ms : 500ms);
    return "fine";
  };
  CHECK_FALSE(run_jobs(6, job, [&](std::size_t index, const JobOutcome& outcome) { status[index] = outcome.status; },
                       {.workers = 1, .on_interrupt = finish ? OnInterrupt::finish : OnInterrupt::kill}));
  CHECK(status[0] == Status::ok);
  CHECK(status[1] == (finish ? Status::ok : Status::interrupted));
  for (std::size_t i = 2; i < 6; ++i)
    CHECK(status[i] == Status::interrupted);
}

TEST_CASE("fleet: what the receiver throws ends the jobs and is passed on")
{
  const auto receive = [](std::size_t, const JobOutcome&) { throw std::runtime_error("disk full"); };
  CHECK_THROWS_WITH(run_jobs(4,
                             [](std::size_t index) {
                               std::this_thread::sleep_for(index == 0 ? 0s : 30s);
                               return std::string("x");
                             },
                             receive, {.workers = 2}),
                    "disk full");
}

TEST_CASE("fleet: where the system has no more, what is under way is delivered and the rest is not begun")
{
  std::vector<Status> status(5, Status::failed);
  const auto job = [](std::size_t index) -> std::string {
    if (index == 1)
      throw OutOfResources("no more files");
    std::this_thread::sleep_for(index == 0 ? 300ms : 0ms);
    return "fine";
  };
  CHECK_THROWS_WITH(
      run_jobs(5, job, [&](std::size_t i, const JobOutcome& outcome) { status[i] = outcome.status; }, {.workers = 2}),
      "no more files");
  CHECK(status[0] == Status::ok);
  CHECK(status[1] == Status::interrupted);
  CHECK(std::count(status.begin(), status.end(), Status::failed) >= 2); // nobody was told of them
}
