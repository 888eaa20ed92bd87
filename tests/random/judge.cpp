#include "tests/random/judge.hpp"

#include "sim/core/errors.hpp"
#include "tests/random/draw.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace podsim::test {
namespace {

using nlohmann::json;

// Of a scenario that a check made or a minimiser cut: what cannot be read is no case.
Verdict verdict_here(const Case& c)
{
  for (const json* scenario : {&c.scenario, &c.other})
    if (c.check != "--set is file" || scenario == &c.scenario)
      if (const std::string why = scenario->is_null() ? "" : refusal(*scenario); !why.empty())
        return {Verdict::Kind::passed_over, why};
  try {
    return check_called(c.check).holds(c);
  } catch (const InputError& refused) {
    return {Verdict::Kind::passed_over, refused.what()};
  } catch (const CannotRun& refused) {
    return {Verdict::Kind::passed_over, refused.what()};
  } catch (const std::exception& bug) {
    return {Verdict::Kind::fails, std::string("crash: ") + bug.what()};
  }
}

std::string contents(int file)
{
  std::string text(static_cast<std::size_t>(lseek(file, 0, SEEK_END)), '\0');
  lseek(file, 0, SEEK_SET);
  const ssize_t got = read(file, text.data(), text.size());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

[[noreturn]] void answer(const Case& c, int file, int errors)
{
  dup2(errors, STDERR_FILENO);
  const Verdict verdict  = verdict_here(c);
  const std::string text = std::to_string(static_cast<int>(verdict.kind)) + verdict.says;
  _exit(write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? EXIT_SUCCESS : EXIT_FAILURE);
}

// Whether it ended within the limit; after which it and its simulations are gone.
bool wait_for(pid_t child, int ended, std::chrono::seconds limit, int& status)
{
  struct pollfd until = {ended, POLLIN, 0};
  const auto most     = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  const bool in_time  = poll(&until, 1, static_cast<int>(most)) != 0;
  if (!in_time)
    kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return in_time;
}

} // namespace

std::optional<Case> drawn_case(const Check& check, std::uint64_t seed, std::string* refused)
{
  Case c{check.name, draw_scenario(seed), nullptr};
  if (const std::string why = refusal(c.scenario); !why.empty()) {
    if (refused)
      *refused = why;
    return std::nullopt;
  }
  Dice dice(mixed(seed, 1));
  if (check.other)
    c.other = check.other(c.scenario, dice);
  return c;
}

Verdict judged(const Case& c, std::chrono::seconds limit)
{
  const int said   = memfd_create("verdict", MFD_CLOEXEC);
  const int errors = memfd_create("errors", MFD_CLOEXEC);
  std::array<int, 2> end{}; // closed when the child has ended, however it does
  if (said < 0 || errors < 0 || pipe(end.data()) != 0)
    return {Verdict::Kind::passed_over, "no descriptors"};
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    close(end[0]);
    answer(c, said, errors);
  }
  close(end[1]);
  int status            = 0;
  const bool in_time    = wait_for(child, end[0], limit, status);
  const std::string got = contents(said);
  const std::string err = contents(errors);
  for (const int file : {said, errors, end[0]})
    close(file);
  if (!in_time)
    return {Verdict::Kind::fails, fmt::format("crash: no end within {} s", limit.count())};
  if (got.empty())
    return {Verdict::Kind::fails, fmt::format("crash: wait status {}, {}", status, one_line(err))};
  Verdict verdict{static_cast<Verdict::Kind>(got[0] - '0'), got.substr(1)};
  if (verdict.says.starts_with("crash") && !err.empty())
    verdict.says += "; " + one_line(err);
  return verdict;
}

json to_file(const Case& c, const Verdict& verdict)
{
  json file{{"check", c.check}, {"says", verdict.says}, {"scenario", c.scenario}};
  if (!c.other.is_null())
    file["other"] = c.other;
  return file;
}

Case from_file(const json& file)
{
  return {file.at("check"), file.at("scenario"), file.value("other", json())};
}

} // namespace podsim::test
