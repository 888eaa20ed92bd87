#include "tests/support/run_program.hpp"
#include "tests/support/sanitizers.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace podsim::test {
namespace {

class Pipe {
public:
  Pipe()
  {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0)
      throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
  }
  ~Pipe()
  {
    close_read();
    close_write();
  }
  Pipe(const Pipe&)            = delete;
  Pipe& operator=(const Pipe&) = delete;
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_read() { close_end(ends_[0]); }
  void close_write() { close_end(ends_[1]); }

private:
  static void close_end(int& end)
  {
    if (end >= 0)
      close(end);
    end = -1;
  }
  std::array<int, 2> ends_{-1, -1};
};

std::vector<char*> pointers(std::vector<std::string>& texts)
{
  std::vector<char*> all;
  for (std::string& text : texts)
    all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> environment(const std::map<std::string, std::string>& added)
{
  std::vector<std::string> all;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('='))))
      all.push_back(text);
  }
  for (const auto& [name, value] : added)
    all.push_back(name + "=" + value);
  return all;
}

// Feeds the input and collects both outputs until the program closes them.
void converse(Pipe& in, Pipe& out, Pipe& err, const RunOptions& options, pid_t child, Outcome& outcome)
{
  const auto end  = std::chrono::steady_clock::now() + options.limit * (under_sanitizers ? 10 : 1); // as much slower
  std::size_t fed = 0;
  std::string buffer(1U << 16U, '\0');
  const auto collect = [&](Pipe& from, std::string& text) {
    const ssize_t got = read(from.read_end(), buffer.data(), buffer.size());
    if (got > 0)
      text.append(buffer, 0, static_cast<std::size_t>(got));
    else if (got == 0 || errno != EINTR)
      from.close_read();
  };
  while (out.read_end() >= 0 || err.read_end() >= 0) {
    if (fed == options.input.size())
      in.close_write();
    std::array<pollfd, 3> files{
        {{out.read_end(), POLLIN, 0}, {err.read_end(), POLLIN, 0}, {in.write_end(), POLLOUT, 0}}};
    if (std::chrono::steady_clock::now() > end) {
      kill(-child, SIGKILL);
      outcome.err += "(killed by the test: it took too long)\n";
      return;
    }
    if (poll(files.data(), files.size(), 200) <= 0)
      continue;
    if (files[0].revents != 0)
      collect(out, outcome.out);
    if (files[1].revents != 0)
      collect(err, outcome.err);
    if (files[2].revents != 0) {
      const ssize_t put = write(in.write_end(), options.input.data() + fed, options.input.size() - fed);
      if (put > 0)
        fed += static_cast<std::size_t>(put);
      else if (put < 0 && errno != EINTR)
        fed = options.input.size(); // nobody reads it
    }
  }
}

} // namespace

Outcome run_program(const std::string& program, const std::vector<std::string>& arguments, const RunOptions& options)
{
  // All that allocates is done before the fork: the child only calls what a signal handler may.
  std::vector<std::string> argument_texts{program};
  argument_texts.insert(argument_texts.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment_texts = environment(options.environment);
  const std::vector<char*> argv              = pointers(argument_texts);
  const std::vector<char*> envp              = pointers(environment_texts);
  Pipe in;
  Pipe out;
  Pipe err;
  std::signal(SIGPIPE, SIG_IGN); // a program may end without reading its input

  const pid_t child = fork();
  if (child < 0)
    throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    std::signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    const int target =
        options.output ? open(options.output->c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644) : out.write_end();
    const bool ready = target >= 0 && dup2(in.read_end(), STDIN_FILENO) >= 0 && dup2(target, STDOUT_FILENO) >= 0 &&
                       dup2(err.write_end(), STDERR_FILENO) >= 0 &&
                       (options.directory.empty() || chdir(options.directory.c_str()) == 0);
    if (ready)
      execvpe(program.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  setpgid(child, child); // here as well: whichever of the two is first
  in.close_read();
  out.close_write();
  err.close_write();
  if (options.meanwhile)
    options.meanwhile(child);

  Outcome outcome;
  converse(in, out, err, options, child, outcome);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.signalled = WIFSIGNALED(status);
  outcome.code      = outcome.signalled ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return outcome;
}

} // namespace podsim::test
