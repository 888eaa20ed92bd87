#include "sim/jobs/child.hpp"

#include "sim/core/errors.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace podsim {
namespace {

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
      if (running_child > 0)
        kill(running_child, SIGKILL);
    };
    sigaction(signal, nullptr, &old);
    if (old.sa_handler != SIG_IGN)
      sigaction(signal, &action, nullptr);
  }

  struct sigaction old_interrupt_ = {}, old_terminate_ = {};
};

} // namespace

void end_with(pid_t parent)
{
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(EXIT_FAILURE);
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

std::string in_child(const std::function<std::string()>& work)
{
  std::array<int, 2> pipe_ends{};
  if (pipe(pipe_ends.data()) != 0)
    throw OutOfResources(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  std::fflush(nullptr);     // or the child would print it as well
  sigset_t passed_on, mask; // held back until there is somebody to pass them on to
  sigemptyset(&passed_on);
  sigaddset(&passed_on, SIGINT);
  sigaddset(&passed_on, SIGTERM);
  sigprocmask(SIG_BLOCK, &passed_on, &mask);
  const pid_t parent = getpid();
  const pid_t child  = fork();
  if (child < 0) {
    const int reason = errno;
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    throw OutOfResources(fmt::format("cannot start a process: {}", std::strerror(reason)));
  }
  if (child == 0) {
    close(pipe_ends[0]);
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    end_with(parent);
    try {
      write_all(pipe_ends[1], work());
      _exit(EXIT_SUCCESS);
    } catch (const std::exception& error) {
      fmt::print(stderr, "podsim: internal error: {}\n", error.what());
      _exit(EXIT_FAILURE);
    } catch (...) { // or it would unwind what is the parent's
      _exit(EXIT_FAILURE);
    }
  }
  const PassSignalsOn pass_on(child);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  close(pipe_ends[1]);
  std::string bytes = read_all(pipe_ends[0]);
  close(pipe_ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  running_child = 0; // another process may have its number now
  if (interrupted || (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT))
    throw Interrupted{};
  if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
    throw std::logic_error(fmt::format("a child process failed (wait status {})", status));
  return bytes;
}

} // namespace podsim
