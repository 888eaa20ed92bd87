#include "sim/app/terminal.hpp"

#include "sim/core/errors.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/ioctl.h>
#include <unistd.h>

namespace podsim {

bool stdout_has_colour()
{
  const char* no_color = std::getenv("NO_COLOR");
  const char* term     = std::getenv("TERM");
  return isatty(STDOUT_FILENO) && (!no_color || !*no_color) && (!term || std::string(term) != "dumb");
}

bool stderr_is_terminal()
{
  return isatty(STDERR_FILENO) != 0;
}

std::size_t stderr_columns()
{
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool write_stdout(const std::string& text)
{
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

void complain(const std::string& text)
{
  const std::string line = "podsim: " + one_line(text) + "\n";
  std::fputs(line.c_str(), stderr);
}

void print(const std::string& text)
{
  if (!write_stdout(text))
    throw InputError(std::string("standard output: cannot be written: ") + std::strerror(errno));
}

std::string file_text(const std::string& file)
{
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool write_file(const std::string& file, const std::string& text)
{
  std::error_code error;
  const auto type     = std::filesystem::status(file, error).type();
  const bool replaces = type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found;
  const auto followed = std::filesystem::weakly_canonical(file, error); // what a link stands for
  const std::string place  = error ? file : followed.string();
  const std::string target = replaces ? place + ".new" : file; // a device or a pipe is written to as it is
  std::FILE* stream        = std::fopen(target.c_str(), "wb");
  if (!stream)
    return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  const bool closed  = std::fclose(stream) == 0;
  if (!replaces)
    return written && closed;
  if (type == std::filesystem::file_type::regular)
    std::filesystem::permissions(target, std::filesystem::status(place, error).permissions(), error);
  if (written && closed && std::rename(target.c_str(), place.c_str()) == 0)
    return true;
  const int reason = errno;
  std::remove(target.c_str());
  errno = reason;
  return false;
}

void write_result(const std::string& option, const std::string& file, const std::string& text)
{
  if (file == "-")
    print(text);
  else if (!write_file(file, text))
    throw InputError(option + " " + file + ": cannot be written: " + std::strerror(errno));
}

} // namespace podsim
