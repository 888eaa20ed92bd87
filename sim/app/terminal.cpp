#include "sim/app/terminal.hpp"

#include "sim/core/errors.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace podsim {

bool stdout_has_colour()
{
  const char* no_color = std::getenv("NO_COLOR");
  const char* term     = std::getenv("TERM");
  return isatty(STDOUT_FILENO) && (!no_color || !*no_color) && (!term || std::string(term) != "dumb");
}

bool stderr_is_terminal()
{
  return isatty(STDERR_FILENO) != 0;
}

std::size_t stderr_columns()
{
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string without_commands(std::string text)
{
  if (const char* actions = std::getenv("GITHUB_ACTIONS"); !actions || !*actions)
    return text;
  for (std::size_t at = 0; (at = text.find("##[", at)) != std::string::npos;)
    text.replace(at, 1, "\\x23");
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const auto is_sign    = [](char c) { return c > ' '; }; // not a blank of any alphabet
    const auto word       = static_cast<std::size_t>(std::find_if(text.begin() + static_cast<std::ptrdiff_t>(at),
                                                                  text.begin() + static_cast<std::ptrdiff_t>(end), is_sign) -
                                               text.begin());
    at                    = end + 1;
    if (text.compare(word, 2, "::") == 0) {
      text.replace(word, 1, "\\x3a");
      at += 3;
    }
  }
  return text;
}

void complain(const std::string& text)
{
  const std::string line = without_commands("podsim: " + one_line(text) + "\n");
  std::fputs(line.c_str(), stderr);
}

namespace {

bool broken_pipe_ends = false;

} // namespace

void prepare_process()
{
  // What was closed stays of no use: reading gives nothing, and writing fails as it would on a closed descriptor.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
      static_cast<void>(open("/dev/null", O_RDONLY)); // takes the lowest free number, which is this one
  broken_pipe_ends = std::signal(SIGPIPE, SIG_IGN) != SIG_IGN;
  std::signal(SIGXFSZ, SIG_IGN);
}

bool ends_on_broken_pipe()
{
  return broken_pipe_ends;
}

void end_on_broken_pipe()
{
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  std::_Exit(128 + SIGPIPE); // where it is blocked
}

} // namespace podsim
