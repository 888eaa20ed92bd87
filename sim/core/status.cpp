#include "sim/core/status.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace podsim {
namespace {

struct Word {
  Status status;
  const char* text;
};

constexpr std::array words{Word{Status::ok, "ok"},
                           Word{Status::input, "input"},
                           Word{Status::mesh, "mesh"},
                           Word{Status::memory, "memory"},
                           Word{Status::time, "time"},
                           Word{Status::no_prediction, "no prediction"},
                           Word{Status::failed, "failed"},
                           Word{Status::crashed, "crashed"},
                           Word{Status::killed, "killed"},
                           Word{Status::timed_out, "timed out"},
                           Word{Status::interrupted, "interrupted"},
                           Word{Status::not_run, "not run"}};

} // namespace

const char* word(Status status)
{
  return std::find_if(words.begin(), words.end(), [&](const Word& one) { return one.status == status; })->text;
}

Status status_of(const std::string& text)
{
  const auto* const found = std::find_if(words.begin(), words.end(), [&](const Word& one) { return one.text == text; });
  if (found == words.end())
    throw std::out_of_range("\"" + text + "\" is no status");
  return found->status;
}

} // namespace podsim
