#include "sim/app/limits.hpp"

#include "sim/app/commands.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/errors.hpp"

#include <cmath>
#include <fmt/format.h>
#include <sys/time.h>
#include <unistd.h>

namespace podsim {
namespace {

// Made before, since a signal handler may do little more than write.
std::string interrupted_line;
std::string too_late_line;
volatile pid_t limited = 0;

// A child that has inherited the handler ends by the signal, for its parent to see.
void end(int signal, const std::string& line, int code)
{
  if (getpid() != limited) {
    std::signal(signal, SIG_DFL);
    raise(signal);
    return; // whereupon it comes
  }
  if (write(STDERR_FILENO, line.data(), line.size()) < 0)
    _exit(code); // there is nobody to tell
  _exit(code);
}

void replace(int signal, void (*handler)(int), struct sigaction& old)
{
  struct sigaction action = {};
  action.sa_handler       = handler;
  sigaction(signal, nullptr, &old);
  if (old.sa_handler != SIG_IGN)
    sigaction(signal, &action, nullptr);
}

void set_alarm(double seconds)
{
  itimerval timer        = {};
  const double whole     = std::floor(seconds);
  timer.it_value.tv_sec  = static_cast<time_t>(whole);
  timer.it_value.tv_usec = static_cast<suseconds_t>((seconds - whole) * 1e6);
  setitimer(ITIMER_REAL, &timer, nullptr);
}

} // namespace

Limits::Limits(const std::string& scenario, double seconds)
{
  const std::string begin = stderr_is_terminal() ? "\npodsim: " : "podsim: "; // after a progress line
  interrupted_line        = begin + "interrupted\n";
  too_late_line           = fmt::format("{}{}: it took longer than {:g} s\n", begin, one_line(scenario), seconds);
  limited                 = getpid();
  replace(
      SIGINT, [](int signal) { end(signal, interrupted_line, exit_interrupted); }, old_interrupt_);
  replace(
      SIGTERM, [](int signal) { end(signal, interrupted_line, exit_interrupted); }, old_terminate_);
  if (seconds == 0)
    return;
  replace(
      SIGALRM, [](int signal) { end(signal, too_late_line, exit_cannot_run); }, old_alarm_);
  set_alarm(seconds);
}

Limits::~Limits()
{
  set_alarm(0);
  sigaction(SIGINT, &old_interrupt_, nullptr);
  sigaction(SIGTERM, &old_terminate_, nullptr);
  sigaction(SIGALRM, &old_alarm_, nullptr);
}

} // namespace podsim
