#include "sim/jobs/fleet.hpp"

#include "sim/core/errors.hpp"
#include "sim/jobs/child.hpp"
#include "sim/jobs/signals.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace podsim {
namespace {

using Time = std::chrono::steady_clock;

// What a worker writes of a job: this, and as many bytes as it says.
struct Answer {
  enum Kind : std::uint64_t { bytes, message, nothing_left } kind; // nothing_left: OutOfResources, with its message
  std::uint64_t size;
};

// Under this a worker is given its next job ahead, so that it need not wait for it.
constexpr std::chrono::milliseconds short_job{10};

struct Worker {
  pid_t process;
  int socket;                    // our end: jobs go out, answers come in
  std::deque<std::size_t> given; // the first is under way
  Time::time_point began, end;   // of that one; when it is killed
  std::string bytes;             // that came of its answer
};

void answer(int file, Answer::Kind kind, const std::string& text)
{
  const Answer head{kind, text.size()};
  std::string all(reinterpret_cast<const char*>(&head), sizeof head);
  all += text;
  write_all(file, all);
}

[[noreturn]] void work(const Job& job, int socket, pid_t parent, const sigset_t& mask)
{
  // A Ctrl-C, a SIGTERM from a scheduler or a SIGHUP from a terminal reaches the whole process group: it is the parent
  // that decides what becomes of this job.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  end_with(parent);
  for (;;) {
    std::size_t index = 0;
    const ssize_t got = read(socket, &index, sizeof index);
    if (got < 0 && errno == EINTR)
      continue;
    if (got != sizeof index)
      _exit(EXIT_SUCCESS); // there are no more
    try {
      answer(socket, Answer::bytes, job(index));
    } catch (const OutOfResources& lack) {
      answer(socket, Answer::nothing_left, lack.what());
    } catch (const std::exception& error) {
      answer(socket, Answer::message, error.what());
    } catch (...) { // or it would unwind what is the parent's
      _exit(EXIT_FAILURE);
    }
  }
}

class Fleet {
public:
  Fleet(std::size_t count, const Job& job, const Deliver& deliver, const FleetOptions& options)
      : count_(count), job_(job), deliver_(deliver), options_(options)
  {
  }
  Fleet(const Fleet&)            = delete;
  Fleet& operator=(const Fleet&) = delete;
  ~Fleet()
  {
    for (const Worker& worker : workers_) {
      if (!worker.given.empty())
        kill(worker.process, SIGKILL);
      end(worker);
    }
  }

  bool run()
  {
    const auto most = static_cast<std::size_t>(options_.workers > 0 ? options_.workers : usable_cores());
    for (;;) {
      if (signals_.interrupted() && options_.on_interrupt == OnInterrupt::kill)
        for (const Worker& worker : workers_)
          kill(worker.process, SIGKILL);
      while (!stopped() && left() > idle() && workers_.size() < most && start())
        give(); // at once: the next one may find no files left
      give();
      if (workers_.size() == idle())
        break;
      wait();
    }
    if (!lacking_.empty())
      throw OutOfResources(lacking_);
    for (; left() > 0; next())
      deliver_(peek(), {});
    return !signals_.interrupted();
  }

private:
  bool stopped() const { return signals_.interrupted() || !lacking_.empty(); }

  // Jobs that no worker has: those that came back, and those from next_ on.
  std::size_t left() const { return returned_.size() + (count_ - next_); }
  std::size_t peek() const { return returned_.empty() ? next_ : returned_.front(); }
  std::size_t next()
  {
    const std::size_t one = peek();
    if (returned_.empty())
      ++next_;
    else
      returned_.pop_front();
    return one;
  }

  std::size_t idle() const
  {
    return static_cast<std::size_t>(
        std::count_if(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.given.empty(); }));
  }

  bool start()
  {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      lacking_ = fmt::format("cannot talk to another process: {}", std::strerror(errno));
      return false;
    }
    std::fflush(nullptr); // or the child would hold the same text
    const pid_t parent = getpid();
    const pid_t child  = fork();
    if (child < 0) {
      lacking_ = fmt::format("cannot start a process: {}", std::strerror(errno));
      close(ends[0]);
      close(ends[1]);
      return false;
    }
    if (child == 0) {
      close(ends[0]);
      for (const Worker& other : workers_) // or it would not see that the parent has no more jobs for it
        close(other.socket);
      work(job_, ends[1], parent, signals_.while_waiting());
    }
    close(ends[1]);
    workers_.push_back({child, ends[0], {}, {}, Time::time_point::max(), {}});
    return true;
  }

  // Those that have nothing to do come first.
  void give()
  {
    for (std::size_t ahead = 0; ahead <= (jobs_are_short_ ? 1 : 0); ++ahead)
      for (Worker& worker : workers_)
        if (!stopped() && left() > 0 && worker.given.size() == ahead) {
          const std::size_t index = next();
          worker.given.push_back(index);
          if (ahead == 0)
            begin(worker);
          // One that has just died is found out when its answer is to be read.
          send(worker.socket, &index, sizeof index, MSG_NOSIGNAL);
        }
  }

  void begin(Worker& worker) const
  {
    worker.began = Time::now();
    worker.end   = options_.time_out.count() > 0 ? worker.began + options_.time_out : Time::time_point::max();
  }

  // Until something was read, a worker ended, a job is out of time or a signal came.
  void wait()
  {
    std::vector<pollfd> files;
    Time::time_point first = options_.quiet ? Time::now() + std::chrono::milliseconds(100) : Time::time_point::max();
    for (const Worker& worker : workers_) {
      files.push_back({worker.socket, POLLIN, 0});
      if (!worker.given.empty())
        first = std::min(first, worker.end);
    }
    timespec limit{};
    if (first != Time::time_point::max()) {
      const auto left = std::max(std::chrono::nanoseconds(0), std::chrono::nanoseconds(first - Time::now()));
      limit.tv_sec    = left.count() / 1'000'000'000;
      limit.tv_nsec   = left.count() % 1'000'000'000;
    }
    const int ready = ppoll(files.data(), files.size(), first == Time::time_point::max() ? nullptr : &limit,
                            &signals_.while_waiting());
    if (ready < 0)
      return; // a signal
    if (ready == 0 && options_.quiet)
      options_.quiet();
    for (std::size_t i = files.size(); i-- > 0;) {
      const bool alive = files[i].revents == 0 || more(workers_[i]);
      deliver_answers(workers_[i]);
      const bool too_late = !workers_[i].given.empty() && Time::now() >= workers_[i].end;
      if (!alive || too_late)
        lose(i, too_late);
    }
  }

  static bool more(Worker& worker)
  {
    std::array<char, 1U << 16U> block{};
    const ssize_t got = read(worker.socket, block.data(), block.size());
    if (got > 0)
      worker.bytes.append(block.data(), static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && errno == EINTR);
  }

  void deliver_answers(Worker& worker)
  {
    Answer head{};
    while (worker.bytes.size() >= sizeof head) {
      std::memcpy(&head, worker.bytes.data(), sizeof head);
      if (worker.bytes.size() - sizeof head < head.size)
        return;
      std::string text = worker.bytes.substr(sizeof head, head.size);
      worker.bytes.erase(0, sizeof head + head.size);
      const std::size_t index = worker.given.front();
      jobs_are_short_         = Time::now() - worker.began < short_job;
      worker.given.pop_front();
      begin(worker);
      if (stopped() && !worker.given.empty())
        kill(worker.process, SIGKILL); // it was to begin no more
      if (head.kind == Answer::nothing_left && lacking_.empty())
        lacking_ = text; // the job counts as not run
      deliver_(index, head.kind == Answer::bytes     ? JobOutcome{Status::ok, std::move(text), "", 0}
                      : head.kind == Answer::message ? JobOutcome{Status::failed, "", std::move(text), 0}
                                                     : JobOutcome{Status::interrupted, "", std::move(text), 0});
    }
  }

  // A worker that has ended, or will be made to, takes the job that it is at with it; another one is given the rest.
  void lose(std::size_t which, bool too_late)
  {
    Worker worker = std::move(workers_[which]);
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(which));
    if (too_late)
      kill(worker.process, SIGKILL);
    const int status = end(worker);
    if (worker.given.empty())
      return;
    const std::size_t index = worker.given.front();
    worker.given.pop_front();
    returned_.insert(returned_.end(), worker.given.begin(), worker.given.end());
    deliver_(index, loss(status, too_late));
  }

  JobOutcome loss(int status, bool too_late) const
  {
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (too_late)
      return {Status::timed_out, "", fmt::format("it took longer than {:g} s", seconds()), 0};
    if (signal == SIGKILL && stopped()) // ours
      return {};
    return {signal == SIGKILL ? Status::killed : Status::crashed, "", "", signal};
  }

  // With nobody to take jobs from it ends by itself, if it is not at one.
  static int end(const Worker& worker)
  {
    close(worker.socket);
    int status = 0;
    while (waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  double seconds() const { return std::chrono::duration<double>(options_.time_out).count(); }

  std::size_t count_, next_ = 0;
  std::deque<std::size_t> returned_;
  const Job& job_;
  const Deliver& deliver_;
  const FleetOptions& options_;
  const HeldSignals signals_;
  std::vector<Worker> workers_;
  bool jobs_are_short_ = false; // the last one was
  std::string lacking_;         // what the system had none left of
};

} // namespace

std::string describe(const JobOutcome& outcome)
{
  if (outcome.status == Status::crashed || outcome.status == Status::killed)
    return outcome.signal == 0
               ? "its process ended without an answer"
               : fmt::format("its process was ended by signal {} ({}){}", outcome.signal, strsignal(outcome.signal),
                             outcome.status == Status::killed ? ", as where memory runs out" : "");
  return outcome.status == Status::interrupted ? word(Status::interrupted) : outcome.message;
}

int usable_cores()
{
  cpu_set_t cores;
  CPU_ZERO(&cores);
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? std::max(1, CPU_COUNT(&cores)) : 1;
}

bool run_jobs(std::size_t count, const Job& job, const Deliver& deliver, const FleetOptions& options)
{
  return Fleet(count, job, deliver, options).run();
}

} // namespace podsim
