#include "sim/app/fleet.hpp"

#include "sim/app/signals.hpp"
#include "sim/core/errors.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/simgrid_engine.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace podsim {
namespace {

using Clock = std::chrono::steady_clock;

// The first byte of what a child writes.
constexpr char answer_follows  = 'a';
constexpr char message_follows = 'm';
constexpr char nothing_left    = 'r'; // OutOfResources, with its message
constexpr char once_more       = 'o';

struct Worker {
  std::size_t index;
  pid_t process;
  int pipe;
  bool in_process;
  Clock::time_point end; // when it is killed
  std::string bytes;
};

void write_all(int file, const std::string& bytes)
{
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t written = write(file, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno != EINTR)
      _exit(EXIT_FAILURE);
    done += written > 0 ? static_cast<std::size_t>(written) : 0;
  }
}

[[noreturn]] void work(const Job& job, std::size_t index, bool in_process, int pipe, pid_t parent, const sigset_t& mask)
{
  // A Ctrl-C, a SIGTERM from a scheduler or a SIGHUP from a terminal reaches the whole process group: it is the parent
  // that decides what becomes of this job. If the parent is killed, nobody else would end it.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(EXIT_FAILURE);
  std::string answer;
  try {
    answer = answer_follows + job(index, in_process);
  } catch (const OutOfResources& lack) {
    answer = nothing_left + std::string(lack.what());
  } catch (const FoldStopped& stopped) {
    answer = in_process ? std::string(1, once_more) : message_follows + std::string(stopped.what());
  } catch (const std::exception& error) {
    answer = message_follows + std::string(error.what());
  } catch (...) { // or it would unwind what is the parent's
    _exit(EXIT_FAILURE);
  }
  write_all(pipe, answer);
  _exit(EXIT_SUCCESS);
}

class Fleet {
public:
  Fleet(const Job& job, const FleetOptions& options) : job_(job), options_(options) {}
  Fleet(const Fleet&)            = delete;
  Fleet& operator=(const Fleet&) = delete;
  ~Fleet()
  {
    for (const Worker& worker : workers_) {
      kill(worker.process, SIGKILL);
      close(worker.pipe);
      reap(worker.process);
    }
  }

  bool run(std::size_t count, const Deliver& deliver)
  {
    const auto most  = static_cast<std::size_t>(options_.workers > 0 ? options_.workers : usable_cores());
    std::size_t next = 0;
    while (next < count || !workers_.empty()) {
      const bool interrupted = signals_.interrupted();
      if (interrupted && options_.on_interrupt == OnInterrupt::kill)
        for (const Worker& worker : workers_)
          kill(worker.process, SIGKILL);
      while (!stopped() && next < count && workers_.size() < most && start(next))
        ++next;
      if (stopped() && workers_.empty())
        break;
      wait(deliver);
    }
    if (!lacking_.empty())
      throw OutOfResources(lacking_);
    for (; next < count; ++next)
      deliver(next, {});
    return !signals_.interrupted();
  }

private:
  bool stopped() const { return signals_.interrupted() || !lacking_.empty(); }

  bool start(std::size_t index, bool in_process = true)
  {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) {
      lacking_ = fmt::format("cannot make a pipe: {}", std::strerror(errno));
      return false;
    }
    std::fflush(nullptr); // or the child would hold the same text
    const pid_t parent = getpid();
    const pid_t child  = fork();
    if (child < 0) {
      const int reason = errno;
      close(ends[0]);
      close(ends[1]);
      lacking_ = fmt::format("cannot start a process: {}", std::strerror(reason));
      return false;
    }
    if (child == 0) {
      close(ends[0]);
      work(job_, index, in_process, ends[1], parent, signals_.while_waiting());
    }
    close(ends[1]);
    const auto end = options_.time_out.count() > 0 ? Clock::now() + options_.time_out : Clock::time_point::max();
    workers_.push_back({index, child, ends[0], in_process, end, {}});
    return true;
  }

  // Until something was read, a job ended, one is out of time or a signal came.
  void wait(const Deliver& deliver)
  {
    std::vector<pollfd> files;
    Clock::time_point first = Clock::time_point::max();
    for (const Worker& worker : workers_) {
      files.push_back({worker.pipe, POLLIN, 0});
      first = std::min(first, worker.end);
    }
    timespec limit{};
    if (first != Clock::time_point::max()) {
      const auto left = std::max(std::chrono::nanoseconds(0), std::chrono::nanoseconds(first - Clock::now()));
      limit.tv_sec    = left.count() / 1'000'000'000;
      limit.tv_nsec   = left.count() % 1'000'000'000;
    }
    const int ready = ppoll(files.data(), files.size(), first == Clock::time_point::max() ? nullptr : &limit,
                            &signals_.while_waiting());
    if (ready < 0)
      return; // a signal
    std::vector<Worker> ended;
    for (std::size_t i = files.size(); i-- > 0;) {
      Worker& worker      = workers_[i];
      const bool too_late = Clock::now() >= worker.end;
      if ((files[i].revents == 0 || more(worker)) && !too_late)
        continue;
      if (too_late)
        kill(worker.process, SIGKILL);
      ended.push_back(std::move(worker));
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (Worker& worker : ended) {
      close(worker.pipe);
      JobOutcome result = outcome(worker);
      if (result.status == JobStatus::failed && worker.bytes[0] == once_more) {
        if (start(worker.index, false))
          continue;
        result = {};
      }
      if (result.status == JobStatus::not_run && lacking_.empty())
        lacking_ = result.message;
      deliver(worker.index, std::move(result));
    }
  }

  static bool more(Worker& worker)
  {
    std::array<char, 1U << 16U> block{};
    const ssize_t got = read(worker.pipe, block.data(), block.size());
    if (got > 0)
      worker.bytes.append(block.data(), static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && errno == EINTR);
  }

  static int reap(pid_t process)
  {
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  // A job for which there was no file or process left counts as not run, with what it lacked as its message.
  JobOutcome outcome(const Worker& worker) const
  {
    const int status = reap(worker.process);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS && !worker.bytes.empty()) {
      const std::string rest = worker.bytes.substr(1);
      if (worker.bytes[0] == nothing_left)
        return {JobStatus::not_run, "", rest, 0};
      return worker.bytes[0] == answer_follows ? JobOutcome{JobStatus::done, rest, "", 0}
                                               : JobOutcome{JobStatus::failed, "", rest, 0};
    }
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (signal == SIGKILL && Clock::now() >= worker.end)
      return {JobStatus::timed_out, "", fmt::format("it took longer than {:g} s", seconds()), 0};
    if (signal == SIGKILL && signals_.interrupted()) // ours
      return {};
    return {signal == SIGKILL ? JobStatus::killed : JobStatus::crashed, "", "", signal};
  }

  double seconds() const { return std::chrono::duration<double>(options_.time_out).count(); }

  const Job& job_;
  const FleetOptions& options_;
  const HeldSignals signals_;
  std::vector<Worker> workers_;
  std::string lacking_; // what the system had none left of
};

} // namespace

const char* status_word(JobStatus status)
{
  switch (status) {
  case JobStatus::done:
    return "done";
  case JobStatus::failed:
    return "failed";
  case JobStatus::crashed:
    return "crashed";
  case JobStatus::killed:
    return "killed";
  case JobStatus::timed_out:
    return "timed out";
  case JobStatus::not_run:
    return "interrupted";
  }
  return "";
}

bool is_bug(const std::string& word)
{
  return word == status_word(JobStatus::failed) || word == status_word(JobStatus::crashed);
}

std::string describe(const JobOutcome& outcome)
{
  switch (outcome.status) {
  case JobStatus::done:
    return "";
  case JobStatus::failed:
  case JobStatus::timed_out:
    return outcome.message;
  case JobStatus::crashed:
  case JobStatus::killed:
    return outcome.signal == 0
               ? "its process ended without an answer"
               : fmt::format("its process was ended by signal {} ({}){}", outcome.signal, strsignal(outcome.signal),
                             outcome.status == JobStatus::killed ? ", as where memory runs out" : "");
  case JobStatus::not_run:
    return "interrupted";
  }
  return "";
}

int usable_cores()
{
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? std::max(1, CPU_COUNT(&cores)) : 1;
}

bool run_jobs(std::size_t count, const Job& job, const Deliver& deliver, const FleetOptions& options)
{
  start_simgrid();
  return Fleet(job, options).run(count, deliver);
}

} // namespace podsim
