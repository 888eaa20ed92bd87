#include "sim/jobs/signals.hpp"

#include <cstddef>
#include <ctime>

namespace podsim {
namespace {

volatile std::sig_atomic_t noted = 0;

} // namespace

HeldSignals::HeldSignals()
{
  noted = 0;
  sigemptyset(&held_);
  struct sigaction action = {};
  action.sa_handler       = [](int) { noted = 1; };
  for (std::size_t i = 0; i < signals_.size(); ++i) {
    sigaction(signals_[i], nullptr, &old_[i]);
    if (old_[i].sa_handler != SIG_IGN)
      sigaddset(&held_, signals_[i]);
  }
  sigprocmask(SIG_BLOCK, &held_, &before_);
  waiting_ = before_;
  for (const int signal : signals_)
    if (sigismember(&held_, signal) == 1) {
      sigdelset(&waiting_, signal);
      sigaction(signal, &action, nullptr);
    }
}

HeldSignals::~HeldSignals()
{
  interrupted(); // takes what is pending, which would end the process now
  for (std::size_t i = 0; i < signals_.size(); ++i)
    if (sigismember(&held_, signals_[i]) == 1)
      sigaction(signals_[i], &old_[i], nullptr);
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

bool HeldSignals::interrupted() const
{
  const timespec now{};
  while (sigtimedwait(&held_, nullptr, &now) >
         0) // a ppoll() that finds a file ready returns without looking at signals
    noted = 1;
  return noted != 0;
}

DeferredSignals::DeferredSignals()
{
  sigset_t held;
  sigemptyset(&held);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    sigaddset(&held, signal);
  sigprocmask(SIG_BLOCK, &held, &before_);
}

bool DeferredSignals::any_pending()
{
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
         sigismember(&pending, SIGHUP) == 1;
}

DeferredSignals::~DeferredSignals()
{
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

} // namespace podsim
