#pragma once
// The ways in which a user's wish can fail; a bug in podsim is an assertion instead.

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace podsim {

// The input is wrong (exit code 2). A line is a mistake: place, what was found, what was expected. what() is the first
// one, and says how many more there are.
class InputError : public std::runtime_error {
public:
  explicit InputError(const std::string& line);
  explicit InputError(std::vector<std::string> lines);
  const std::vector<std::string>& lines() const { return *lines_; }

private:
  std::shared_ptr<const std::vector<std::string>> lines_; // shared, for an exception is copied without throwing
};

// It is written wrong, whatever the rest says: an unknown key, or a value of another kind than is expected there.
class MisreadError : public InputError {
public:
  using InputError::InputError;
};

// The input is sound but cannot run on this machine (exit code 3): memory, or a slice that cannot hold the
// mesh. what() is one line: by how much, and what would make it run.
class CannotRun : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

// The system gives this program no more files or processes, or not a part of it (exit code 71). what() is one line:
// what it was for.
class OutOfResources : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};
bool is_out_of_resources(int reason); // an errno

struct Interrupted {}; // by a SIGINT or the like, and nothing else is wrong

// `; did you mean "X"?` for the names that begin as the misspelt one (tpu-v5: tpu-v5e, tpu-v5p), else for the one
// nearest to it by edit distance, or "" if none is near.
std::string did_you_mean(std::string_view misspelt, const std::vector<std::string>& names);

// How many letters must be put in, left out or replaced to make one of the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// Foreign text made fit for one line of a message: control characters escaped; printable() also cuts what is long.
std::string one_line(std::string_view text);
std::string printable(std::string_view text);

} // namespace podsim
