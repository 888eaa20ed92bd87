#include "sim/app/progress.hpp"

#include "sim/app/terminal.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>

namespace podsim {

ProgressBar::ProgressBar(std::string what, std::size_t total, bool wanted, Elsewhere elsewhere)
    : what_(std::move(what)), total_(total), shown_(wanted && stderr_is_terminal()),
      told_(wanted && !shown_ && elsewhere == Elsewhere::lines)
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
  if (told_)
    tell();
}

std::string ProgressBar::state() const
{
  std::string text = fmt::format("{}/{}", ended_, total_);
  if (failed_ > 0)
    text += fmt::format(", {} failed", failed_);
  const double so_far = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  if (ended_ > 0 && so_far > 0) {
    const double rate = static_cast<double>(ended_) / so_far;
    text += rate < 100 ? fmt::format(", {:.3g}/s", rate) : fmt::format(", {:.0f}/s", rate);
  }
  if (ended_ > 0 && ended_ < total_)
    text += fmt::format(", {:.0f} s left", so_far / static_cast<double>(ended_) * static_cast<double>(total_ - ended_));
  return text;
}

void ProgressBar::draw() const
{
  constexpr std::size_t widest = 30, narrowest = 5;
  const std::size_t columns = std::max<std::size_t>(stderr_columns(), 10) - 3; // a ^C beside it stays on the line, too
  const std::string end     = state();
  const std::size_t taken   = what_.size() + end.size() + 4; // with the brackets
  std::string text          = what_ + " " + end;
  if (taken + narrowest <= columns) {
    const std::size_t width = std::min(widest, columns - taken);
    const std::size_t full  = total_ > 0 ? width * ended_ / total_ : width;
    text = fmt::format("{} [{}{}] {}", what_, std::string(full, '#'), std::string(width - full, '.'), end);
  }
  std::fputs(("\r\033[K" + text.substr(0, columns)).c_str(), stderr);
  std::fflush(stderr);
}

void ProgressBar::tell()
{
  using namespace std::chrono_literals;
  const auto now           = std::chrono::steady_clock::now();
  const std::size_t tenths = 10 * ended_ / total_;
  const auto since         = now - told_at_;
  if (ended_ < total_ && since < (tenths > told_tenths_ ? 1s : 30s))
    return;
  told_tenths_ = tenths;
  told_at_     = now;
  complain(fmt::format("{}: {}", what_, state()));
}

} // namespace podsim
