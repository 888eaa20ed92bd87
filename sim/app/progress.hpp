#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace podsim {

// A bar on a terminal's standard error that is overwritten as jobs end, and wiped off at the end. Elsewhere, and
// where it is not wanted, nothing.
class ProgressBar {
public:
  ProgressBar(std::string what, std::size_t total, bool wanted);
  ~ProgressBar();
  ProgressBar(const ProgressBar&)            = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void job_ended(bool failed);

private:
  void draw() const;

  std::string what_;
  std::size_t total_, ended_ = 0, failed_ = 0;
  bool shown_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

} // namespace podsim
