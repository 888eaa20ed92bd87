#pragma once

#include <string>

namespace podsim {

bool stdout_has_colour();   // a terminal, and NO_COLOR is not set
bool stderr_is_terminal();

// Writes all of `text`; false (with errno) if it could not.
bool write_stdout(const std::string& text);
bool write_file(const std::string& file, const std::string& text); // by a new file that then takes its place

} // namespace podsim
