#pragma once
// SIGINT, SIGTERM and SIGHUP held back where they must not end the process: while jobs are under way, and while a file
// takes the place of another.

#include <array>
#include <csignal>

namespace podsim {

// Notes these signals instead of being ended by them. They are blocked except while the process waits in ppoll() with
// while_waiting(), so that none is missed between a look at the note and the waiting. What was ignored from the start,
// as under nohup, stays so.
class HeldSignals {
public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&)            = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  const sigset_t& while_waiting() const { return waiting_; }

  bool interrupted() const; // since it was made

private:
  static constexpr std::array signals_{SIGINT, SIGTERM, SIGHUP};
  sigset_t held_{}, before_{}, waiting_{};
  std::array<struct sigaction, signals_.size()> old_{};
};

// Lets these signals wait until it is gone; then they do what they would have done. HeldSignals within it take them.
class DeferredSignals {
public:
  DeferredSignals();
  ~DeferredSignals();
  DeferredSignals(const DeferredSignals&)            = delete;
  DeferredSignals& operator=(const DeferredSignals&) = delete;

  static bool any_pending(); // for work that can be broken off

private:
  sigset_t before_{};
};

} // namespace podsim
