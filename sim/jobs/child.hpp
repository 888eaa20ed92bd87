#pragma once
// Child processes that work for this one.

#include <functional>
#include <string>
#include <sys/types.h>

namespace podsim {

// Runs `work` in a forked child and returns the bytes that it made. While the child runs, a SIGINT or SIGTERM that
// reaches only this process ends the child as well. Throws Interrupted if one of them did, OutOfResources where there
// can be no child, and std::logic_error if it failed (what it
// threw is on stderr then).
std::string in_child(const std::function<std::string()>& work);

// Of a child of `parent`: ends with it, as nobody else would end it.
void end_with(pid_t parent);

// Of a child: writes all of it, or ends, as it has nobody else to tell.
void write_all(int file, const std::string& bytes);

} // namespace podsim
