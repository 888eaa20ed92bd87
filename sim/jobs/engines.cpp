#include "sim/jobs/engines.hpp"

#include "sim/core/errors.hpp"
#include "sim/engine/clock/simgrid_module.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <type_traits>
#include <unistd.h>

namespace podsim {
namespace {

// The trace as bytes for the pipe between two processes of one binary.
struct Header {
  std::size_t records, repetitions;
  Seconds end;
  std::int64_t simulated_classes, activities, repeated_layers, repeated_micro_batches;
  bool chunked;
};

template <class T> void put(std::string& bytes, const T* values, std::size_t count)
{
  static_assert(std::is_trivially_copyable_v<T>);
  bytes.append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

template <class T> void get(const std::string& bytes, std::size_t& at, T* values, std::size_t count)
{
  if (at + count * sizeof(T) > bytes.size())
    throw std::logic_error("the simulation's trace is cut short");
  std::memcpy(values, bytes.data() + at, count * sizeof(T));
  at += count * sizeof(T);
}

std::string to_bytes(const Trace& trace)
{
  const Header header{
      trace.records.size(),  trace.repetitions.size(),     trace.end,    trace.simulated_classes, trace.activities,
      trace.repeated_layers, trace.repeated_micro_batches, trace.chunked};
  std::string bytes;
  put(bytes, &header, 1);
  put(bytes, trace.records.data(), trace.records.size());
  for (const Repetition& repetition : trace.repetitions) {
    const std::array<std::size_t, 4> numbers{repetition.first, repetition.last,
                                             static_cast<std::size_t>(repetition.times), repetition.advance.size()};
    put(bytes, numbers.data(), numbers.size());
    put(bytes, &repetition.period, 1);
    put(bytes, repetition.advance.data(), repetition.advance.size());
  }
  return bytes;
}

Trace from_bytes(const std::string& bytes)
{
  Header header{};
  std::size_t at = 0;
  get(bytes, at, &header, 1);
  Trace trace;
  trace.end                    = header.end;
  trace.simulated_classes      = header.simulated_classes;
  trace.activities             = header.activities;
  trace.repeated_layers        = header.repeated_layers;
  trace.repeated_micro_batches = header.repeated_micro_batches;
  trace.chunked                = header.chunked;
  trace.records.resize(header.records);
  get(bytes, at, trace.records.data(), header.records);
  for (std::size_t i = 0; i < header.repetitions; ++i) {
    std::array<std::size_t, 4> numbers{};
    get(bytes, at, numbers.data(), numbers.size());
    Repetition& repetition = trace.repetitions.emplace_back(
        Repetition{numbers[0], numbers[1], static_cast<std::int64_t>(numbers[2]), {}, {}});
    get(bytes, at, &repetition.period, 1);
    repetition.advance.resize(numbers[3]);
    get(bytes, at, repetition.advance.data(), numbers[3]);
  }
  return trace;
}

void write_all(int file, const std::string& bytes)
{
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t written = write(file, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno != EINTR)
      _exit(EXIT_FAILURE);
    done += written > 0 ? static_cast<std::size_t>(written) : 0;
  }
}

std::string read_all(int file)
{
  std::string bytes;
  std::string block(1U << 16U, '\0');
  for (;;) {
    const ssize_t got = read(file, block.data(), block.size());
    if (got > 0)
      bytes.append(block, 0, static_cast<std::size_t>(got));
    else if (got == 0 || errno != EINTR)
      return bytes;
  }
}

// While a child runs, a SIGINT or SIGTERM that reaches only this process ends the child as well; the parent then goes
// on to say so.
volatile std::sig_atomic_t running_child = 0;
volatile std::sig_atomic_t interrupted   = 0;

class PassSignalsOn {
public:
  explicit PassSignalsOn(pid_t child)
  {
    running_child = child;
    interrupted   = 0;
    replace(SIGINT, old_interrupt_);
    replace(SIGTERM, old_terminate_);
  }
  ~PassSignalsOn()
  {
    sigaction(SIGINT, &old_interrupt_, nullptr);
    sigaction(SIGTERM, &old_terminate_, nullptr);
  }
  PassSignalsOn(const PassSignalsOn&)            = delete;
  PassSignalsOn& operator=(const PassSignalsOn&) = delete;

private:
  // A process that was told to let the signal pass, as a fleet's jobs are, lets it pass for its child as well.
  static void replace(int signal, struct sigaction& old)
  {
    struct sigaction action = {};
    action.sa_handler       = [](int) {
      interrupted = 1;
      kill(running_child, SIGKILL);
    };
    sigaction(signal, nullptr, &old);
    if (old.sa_handler != SIG_IGN)
      sigaction(signal, &action, nullptr);
  }

  struct sigaction old_interrupt_ = {}, old_terminate_ = {};
};

constexpr int fold_stopped_code = 2; // of a child's exit

// Runs `work` in a child process and returns the bytes that it made.
template <class Work> std::string in_child(const Work& work)
{
  std::array<int, 2> pipe_ends{};
  if (pipe(pipe_ends.data()) != 0)
    throw OutOfResources(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  std::fflush(nullptr); // or the child would print it as well
  const pid_t parent = getpid();
  const pid_t child  = fork();
  if (child < 0) {
    const int reason = errno;
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    throw OutOfResources(fmt::format("cannot start a process: {}", std::strerror(reason)));
  }
  if (child == 0) {
    close(pipe_ends[0]);
    prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody else would end it if the parent is killed
    if (getppid() != parent)
      _exit(EXIT_FAILURE);
    try {
      write_all(pipe_ends[1], work());
      _exit(EXIT_SUCCESS);
    } catch (const FoldStopped&) {
      _exit(fold_stopped_code);
    } catch (const std::exception& error) {
      fmt::print(stderr, "podsim: internal error: {}\n", error.what());
      _exit(EXIT_FAILURE);
    }
  }
  const PassSignalsOn pass_on(child);
  close(pipe_ends[1]);
  std::string bytes = read_all(pipe_ends[0]);
  close(pipe_ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGINT || interrupted))
    throw Interrupted{};
  if (WIFEXITED(status) && WEXITSTATUS(status) == fold_stopped_code)
    throw FoldStopped("the fold in time could not go on");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
    throw std::logic_error(fmt::format("the simulation's process failed (wait status {})", status));
  return bytes;
}

Trace execute_on_simgrid(const Replay& replay)
{
  start_simgrid(); // once for all children
  return from_bytes(in_child([&] {
    const std::unique_ptr<Clock> clock = simgrid_clock();
    return to_bytes(execute(replay, *clock));
  }));
}

} // namespace

const std::vector<Engine>& engines()
{
  static const std::vector<Engine> all{{"simgrid", execute_on_simgrid}, heap_engine()};
  return all;
}

std::vector<std::string> engine_names()
{
  std::vector<std::string> names;
  for (const Engine& engine : engines())
    names.push_back(engine.name);
  return names;
}

SimulationOptions on_engine(const std::string& name)
{
  SimulationOptions options;
  options.engine =
      *std::find_if(engines().begin(), engines().end(), [&](const Engine& one) { return one.name == name; });
  return options;
}

} // namespace podsim
