#include "tests/bench/child.hpp"

#include "sim/jobs/engines.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace podsim::bench {
namespace {

// Its usage of resources, once it has ended well.
rusage wait_for(pid_t child)
{
  int status   = 0;
  rusage usage = {};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
    throw std::runtime_error("a benchmark's process failed");
  return usage;
}

} // namespace

double seconds_of(const std::function<void()>& work)
{
  const auto started = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

Sample in_child(const std::function<void(Sample&)>& work)
{
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0)
    throw std::runtime_error("cannot make a pipe");
  std::fflush(nullptr);
  Sample sample;
  const double around = seconds_of([&] {
    const pid_t child = fork();
    if (child == 0) {
      Sample own;
      own.inside = seconds_of([&] { work(own); });
      _exit(write(ends[1], &own, sizeof own) == sizeof own ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[1]);
    const bool told = read(ends[0], &sample, sizeof sample) == sizeof sample;
    close(ends[0]);
    wait_for(child);
    if (!told)
      throw std::runtime_error("a benchmark's process said nothing");
  });
  sample.around       = around;
  return sample;
}

Sample simulate_in_child(const Scenario& scenario, Granularity granularity)
{
  const Sample sample = in_child([&](Sample& own) {
    SimulationOptions options = on_engine("simgrid");
    options.granularity       = granularity;
    const Evaluation result   = evaluate(scenario, {options});
    own.chips                 = scenario.machine.chips();
    own.classes               = result.simulation.classes;
    own.activities            = result.simulation.activities;
  });
  if (sample.activities == 0)
    throw std::runtime_error("nothing was simulated");
  return sample;
}

ProcessSample run_podsim(const std::vector<std::string>& arguments, const std::string& program)
{
  std::vector<char*> words{const_cast<char*>("podsim")};
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  std::fflush(nullptr);
  ProcessSample sample;
  sample.seconds = seconds_of([&] {
    const pid_t child = fork();
    if (child == 0) {
      dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
      execv(program.c_str(), words.data());
      _exit(EXIT_FAILURE);
    }
    const rusage usage = wait_for(child);
    sample.peak_mb     = static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    sample.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  });
  return sample;
}

} // namespace podsim::bench
