#pragma once

#include <csignal>
#include <string>

namespace podsim {

// While one lives, a Ctrl-C, a SIGTERM or the end of the given time ends the process at once with a line on standard
// error, whatever it is busy with: to read and fold a machine of many faults takes long as well. A process that was
// told to ignore a signal goes on doing so. Children that simulate() started die with their parent.
class Limits {
public:
  Limits(const std::string& scenario, double seconds); // 0: without end
  ~Limits();
  Limits(const Limits&)            = delete;
  Limits& operator=(const Limits&) = delete;

private:
  struct sigaction old_interrupt_ = {}, old_terminate_ = {}, old_alarm_ = {};
};

} // namespace podsim
