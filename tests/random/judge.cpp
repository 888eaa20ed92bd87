#include "tests/random/judge.hpp"

#include "sim/core/errors.hpp"
#include "tests/random/draw.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fmt/format.h>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace podsim::test {
namespace {

using nlohmann::json;

// Of a scenario that a check made or a minimiser cut: what cannot be read is no case.
Verdict verdict_here(const Case& c)
{
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

// What never ends is ended by its time on a processor, which other work on the machine does not use up.
[[noreturn]] void answer(const std::vector<Case>& cases, int file, int errors)
{
  dup2(errors, STDERR_FILENO);
  const struct rlimit each = {20, 20}; // of this process and of each simulation
  setrlimit(RLIMIT_CPU, &each);
  for (const Case& c : cases) {
    const Verdict verdict  = verdict_here(c);
    const std::string line = std::to_string(static_cast<int>(verdict.kind)) + one_line(verdict.says) + "\n";
    if (write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      _exit(EXIT_FAILURE);
  }
  _exit(EXIT_SUCCESS);
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

struct Answers {
  std::string said; // a line a case, as far as it came
  std::string errors, how_it_ended;
};

Answers answers(const std::vector<Case>& cases, std::chrono::seconds limit)
{
  const int said   = memfd_create("verdicts", MFD_CLOEXEC);
  const int errors = memfd_create("errors", MFD_CLOEXEC);
  std::array<int, 2> end{}; // closed when the child has ended, however it does
  if (said < 0 || errors < 0 || pipe(end.data()) != 0)
    throw std::runtime_error("no descriptors left");
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0)
    throw std::runtime_error("no processes left");
  if (child == 0) {
    close(end[0]);
    answer(cases, said, errors);
  }
  close(end[1]);
  int status         = 0;
  const bool in_time = wait_for(child, end[0], limit, status);
  Answers got{contents(said), contents(errors),
              in_time ? fmt::format("wait status {}", status) : fmt::format("no end within {} s", limit.count())};
  for (const int file : {said, errors, end[0]})
    close(file);
  return got;
}

} // namespace

std::vector<Case> drawn_cases(std::uint64_t seed, const std::string& only, std::string* refused)
{
  const json scenario   = draw_scenario(seed);
  const std::string why = refusal(scenario);
  if (refused)
    *refused = why;
  std::vector<Case> cases;
  for (const Check& check : checks()) {
    Dice dice(mixed(seed, 2 + static_cast<std::uint64_t>(&check - checks().data())));
    if (!why.empty() || (only.empty() ? !dice.chance(check.share) : only != check.name))
      continue;
    Case& c = cases.emplace_back(Case{check.name, scenario, nullptr});
    if (Dice own(mixed(seed, 1)); check.other)
      c.other = check.other(c.scenario, own);
  }
  return cases;
}

Verdict judged(const Case& c, std::chrono::seconds limit)
{
  return judged(std::vector<Case>{c}, limit).front();
}

// What a crash leaves unsaid is asked again, from the case after the one that crashed.
std::vector<Verdict> judged(const std::vector<Case>& cases, std::chrono::seconds limit)
{
  std::vector<Verdict> verdicts;
  while (verdicts.size() < cases.size()) {
    const Answers got = answers({cases.begin() + static_cast<std::ptrdiff_t>(verdicts.size()), cases.end()}, limit);
    std::istringstream lines(got.said);
    for (std::string line; std::getline(lines, line);)
      verdicts.push_back({static_cast<Verdict::Kind>(line[0] - '0'), line.substr(1)});
    if (verdicts.size() < cases.size())
      verdicts.push_back({Verdict::Kind::fails, "crash: " + got.how_it_ended});
    if (verdicts.back().says.starts_with("crash") && !got.errors.empty())
      verdicts.back().says += "; " + one_line(got.errors);
  }
  return verdicts;
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
