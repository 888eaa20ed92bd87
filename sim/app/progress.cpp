#include "sim/app/progress.hpp"

#include "sim/app/terminal.hpp"

#include <cstdio>
#include <fmt/format.h>

namespace podsim {

ProgressBar::ProgressBar(std::string what, std::size_t total, bool wanted)
    : what_(std::move(what)), total_(total), shown_(wanted && stderr_is_terminal())
{
  if (shown_)
    draw();
}

ProgressBar::~ProgressBar()
{
  if (shown_) {
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }
}

void ProgressBar::job_ended(bool failed)
{
  ++ended_;
  failed_ += failed ? 1 : 0;
  if (shown_)
    draw();
}

void ProgressBar::draw() const
{
  constexpr std::size_t width = 30;
  const std::size_t full      = total_ > 0 ? width * ended_ / total_ : width;
  std::string text            = fmt::format("\r\033[K{} [{}{}] {}/{}", what_, std::string(full, '#'),
                                            std::string(width - full, '.'), ended_, total_);
  if (failed_ > 0)
    text += fmt::format(", {} failed", failed_);
  if (ended_ > 0 && ended_ < total_) {
    const double so_far = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
    text += fmt::format(", {:.0f} s left", so_far / static_cast<double>(ended_) * static_cast<double>(total_ - ended_));
  }
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

} // namespace podsim
