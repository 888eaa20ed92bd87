#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace podsim {

// A bar on a terminal's standard error that is overwritten as jobs end, and wiped off at the end. Elsewhere nothing, or
// a plain line now and then; where it is not wanted, nothing at all.
class ProgressBar {
public:
  enum class Elsewhere { nothing, lines };
  ProgressBar(std::string what, std::size_t total, bool wanted, Elsewhere elsewhere = Elsewhere::nothing);
  ~ProgressBar();
  ProgressBar(const ProgressBar&)            = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void job_ended(bool failed);

private:
  std::string state() const;
  void draw() const;
  void tell(); // a line at each tenth, but not within a second, each half minute, and at the end

  std::string what_;
  std::size_t total_, ended_ = 0, failed_ = 0;
  bool shown_, told_;
  std::size_t told_tenths_                       = 0;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now(), told_at_ = started_;
};

} // namespace podsim
