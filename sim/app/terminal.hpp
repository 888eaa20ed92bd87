#pragma once

#include <cstddef>
#include <string>

namespace podsim {

bool stdout_has_colour(); // a terminal, and NO_COLOR is not set
bool stderr_is_terminal();
std::size_t stderr_columns(); // 80 where the terminal does not say

// The text with what the runner of GitHub's actions would take for commands made harmless, where one reads it: lines
// that begin with "::", and "##[" anywhere.
std::string without_commands(std::string text);

// One line on standard error, "podsim: <text>"; where that cannot be written there is nobody to tell.
void complain(const std::string& text);

// To be called first: descriptors 0 to 2 are open from then on, so that no file that is opened later takes the place of
// standard output; and a write to a pipe that nobody reads, or beyond a limit, fails instead of ending the process.
void prepare_process();

// Whether such a write would have ended the process; and ending it so.
bool ends_on_broken_pipe();
[[noreturn]] void end_on_broken_pipe();

} // namespace podsim
