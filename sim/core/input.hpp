#pragma once
// The door through which files come in. Whatever a name stands for, it ends in text or in one line that says why not: a
// pipe is read once and remembered, a pipe that nobody writes is given up, what is no file of text is refused.
//
// What was read is noted, so that no output takes its place (sim/app/output.hpp).

#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace podsim {

// "-" is standard input.
bool is_standard_input(const std::string& file);

// Whether there is something by this name, "-" included.
bool input_exists(const std::string& file);

// All of it, at most 16 MiB. Throws InputError.
std::string read_input(const std::string& file);

// The JSON files in a folder and below it, in order. What has the name of one but is a pipe or a device is an
// InputError.
std::vector<std::string> json_files_below(const std::string& folder);

// The folder from which a file names others: the working directory for standard input and for what a shell passes as
// /dev/fd/63.
std::string folder_of(const std::string& file);

// That a file is read, by this process or one that it starts.
void note_input(const std::string& file);

// The name under which this very file was read, if it was.
std::optional<std::string> noted_input(const struct stat& file);

} // namespace podsim
