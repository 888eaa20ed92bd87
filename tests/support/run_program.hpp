#pragma once
// Runs a program as a user would, without a shell between, and says what came of it.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace podsim::test {

struct RunOptions {
  std::map<std::string, std::string> environment = {}; // added to that of the tests
  std::string directory                          = {}; // to start in; empty: that of the tests
  std::string input                              = {}; // standard input
  std::optional<std::string> output              = {}; // a file for standard output, which is then not captured
  std::function<void(pid_t)> meanwhile           = {}; // called while it runs, as the leader of a process group
  std::chrono::seconds limit{60};                      // after which it is killed; ten times that under sanitizers
};

struct Outcome {
  int code       = -1; // exit code; 128 + signal where a signal ended it, as a shell has it
  bool signalled = false;
  std::string out, err;
};

Outcome run_program(const std::string& program, const std::vector<std::string>& arguments,
                    const RunOptions& options = {});

} // namespace podsim::test
