#pragma once
// What became of a scenario: the one list of it, with the words that files and reports use.

#include <array>
#include <cstdint>
#include <string>

namespace podsim {

enum class Status : std::uint8_t {
  ok,
  input,         // it is written wrong
  mesh,          // it does not fit the machine's shape
  memory,        // it needs more than a chip has
  time,          // it takes longer than the simulator's clock holds
  no_prediction, // it does not give what is asked of it
  failed,        // podsim threw what nobody expects
  crashed,       // its process ended by a signal, or without an answer
  killed,        // its process was ended by somebody else, as the kernel does where memory runs out
  timed_out,     // its process was given up
  interrupted,   // an interrupt came before it had begun or ended
  not_run,       // nobody has tried yet
};

const char* word(Status status);           // "ok", "timed out"...
Status status_of(const std::string& word); // throws std::out_of_range for what is no such word
inline bool is_bug(Status status)
{
  return status == Status::failed || status == Status::crashed;
}

// What the next try may answer otherwise.
inline constexpr std::array worth_a_retry{Status::failed, Status::crashed, Status::killed, Status::timed_out};

} // namespace podsim
