#pragma once
// Completions and the manual page, from the one table of commands and options; the build writes and installs them.

#include <CLI/CLI.hpp>
#include <string>

namespace podsim {

// Writes podsim.bash, _podsim, podsim.fish and podsim.1 into the folder. `app` has the commands of commands().
void write_documents(const CLI::App& app, const std::string& folder);

} // namespace podsim
