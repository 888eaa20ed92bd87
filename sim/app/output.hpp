#pragma once
// The door through which results leave: files and standard output.
//
// A file is written whole under a name of its own, in its folder, and then takes its place; nobody ever sees half of
// it, and a full disk or a signal leaves what was there. A device, a pipe or a descriptor (/dev/stdout, >(...)) is
// written through, and so is what a link leads to.

#include "reports/page.hpp"

#include <string>
#include <vector>

namespace podsim {

// An option, as --json, and the file it names: "-" for standard output, empty where it is not wanted.
struct Output {
  std::string option, file;
};

// To be called when all inputs were read and nothing has run yet. Throws InputError where an output is one of the
// inputs, the database, the file that standard output goes to, or another of the outputs.
void check_outputs(const std::vector<Output>& outputs, const std::string& database = "");

// What a name leads to in the end, whether there is such a file yet or not; a descriptor by its name.
std::string followed(const std::string& file);

// A name in the file's folder that nobody else knows.
std::string name_beside(const std::string& file);

// Throws InputError, with the option in front of the file's name unless it is empty.
void write_file(const std::string& option, const std::string& file, const std::string& text);

// On standard output. Throws InputError; where the reader of a pipe is gone, as after `| head`, the process ends as
// others do there, without a word.
void print(const Page& page);

// Several outputs: each is tried, whatever became of those before.
class Outputs {
public:
  void print(const Page& page);
  void commands(const std::string& lines);                   // for the CI that reads standard output
  bool write(const Output& output, const std::string& text); // whether it is there
  void finish() const; // does what write_file() and print() would have done of what failed

private:
  bool write_stdout(const std::string& text);

  std::vector<std::string> failures_;
  bool stdout_lost_ = false, reader_gone_ = false;
};

} // namespace podsim
