#pragma once

#include <cstddef>
#include <string>

namespace podsim {

bool stdout_has_colour(); // a terminal, and NO_COLOR is not set
bool stderr_is_terminal();
std::size_t stderr_columns(); // 80 where the terminal does not say

// One line on standard error, "podsim: <text>"; where that cannot be written there is nobody to tell.
void complain(const std::string& text);

// Writes all of `text`; false (with errno) if it could not.
bool write_stdout(const std::string& text);
void print(const std::string& text);                               // the same, throwing InputError
std::string file_text(const std::string& file);                    // empty where it cannot be read
bool write_file(const std::string& file, const std::string& text); // by a new file that then takes its place

// Writes what --csv FILE or --json FILE asks for; "-" is standard output. Throws InputError.
void write_result(const std::string& option, const std::string& file, const std::string& text);

} // namespace podsim
