#include "sim/app/output.hpp"

#include "sim/app/terminal.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/input.hpp"
#include "sim/core/utf8.hpp"
#include "sim/jobs/signals.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace podsim {
namespace {

namespace fs = std::filesystem;

fs::path folder_beside(const std::string& file)
{
  const fs::path path = file;
  return path.has_parent_path() ? path.parent_path() : ".";
}

bool is_one_file(const struct stat& a, const struct stat& b)
{
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// All of it, also where the other side takes its time on a descriptor that does not block; else false, and errno.
bool write_all(int descriptor, std::string_view text)
{
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{descriptor, POLLOUT, 0};
      poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// The descriptor of this process that a name stands for.
std::optional<int> descriptor_named(const std::string& file)
{
  if (file == "/dev/stdout")
    return STDOUT_FILENO;
  if (file == "/dev/stderr")
    return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"})
    if (file.starts_with(folder)) {
      int number              = -1;
      const char* const end   = file.data() + file.size();
      const auto [rest, good] = std::from_chars(file.data() + folder.size(), end, number);
      if (good == std::errc() && rest == end)
        return number;
    }
  return {};
}

// For messages and comparison: the same text for the same place, be there a file or not.
std::string place_of(const std::string& file)
{
  const std::string path = followed(file);
  std::error_code error;
  return (fs::weakly_canonical(folder_beside(path), error) / fs::path(path).filename()).string();
}

// A new file beside the one that it is to become. Nobody can have put a link in its place: it is ours or there is none.
class NewFile {
public:
  NewFile(const std::string& file, mode_t mode)
  {
    constexpr int tries = 100;
    for (int i = 0; i < tries && descriptor_ < 0; ++i) {
      name_       = name_beside(file);
      descriptor_ = open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
      if (descriptor_ < 0 && errno != EEXIST)
        return;
    }
  }
  ~NewFile()
  {
    if (descriptor_ < 0)
      return;
    const int reason = errno;
    close(descriptor_);
    unlink(name_.c_str());
    errno = reason;
  }
  NewFile(const NewFile&)            = delete;
  NewFile& operator=(const NewFile&) = delete;

  bool made() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  bool becomes(const std::string& file)
  {
    // A file system that cannot sync says EINVAL.
    if ((fsync(descriptor_) != 0 && errno != EINVAL) || rename(name_.c_str(), file.c_str()) != 0)
      return false;
    const int written = descriptor_;
    descriptor_       = -1;
    return close(written) == 0;
  }

private:
  std::string name_;
  int descriptor_ = -1;
};

bool replace(const std::string& file, const struct stat* old, std::string_view text)
{
  const DeferredSignals whole;
  constexpr mode_t all = 0666, own = 0600, permissions = 07777;
  NewFile fresh(file, old ? own : all);
  if (!fresh.made())
    return false;
  if (old) {
    if (old->st_uid != geteuid() || old->st_gid != getegid())
      static_cast<void>(fchown(fresh.descriptor(), old->st_uid, old->st_gid)); // where that is allowed
    if (fchmod(fresh.descriptor(), old->st_mode & permissions) != 0)
      return false;
  }
  if (!write_all(fresh.descriptor(), text) || !fresh.becomes(file))
    return false;
  if (const int opened = open(folder_beside(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); opened >= 0) {
    fsync(opened); // so that the new name outlives a loss of power; the file itself is safe
    close(opened);
  }
  return true;
}

// Where it is no plain file: as it is.
bool write_through(const std::string& file, std::string_view text)
{
  const int opened = open(file.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (opened < 0)
    return false;
  const bool written = write_all(opened, text);
  const int reason   = errno;
  const bool closed  = close(opened) == 0;
  if (!written)
    errno = reason;
  return written && closed;
}

bool put(const std::string& file, std::string_view text)
{
  const std::string target = followed(file);
  std::fflush(stdout);
  if (const auto descriptor = descriptor_named(target))
    return write_all(*descriptor, text);
  struct stat old   = {};
  const bool exists = stat(target.c_str(), &old) == 0;
  if (!exists && errno != ENOENT)
    return false;
  return exists && !S_ISREG(old.st_mode) ? write_through(target, text) : replace(target, exists ? &old : nullptr, text);
}

std::string named(const Output& output)
{
  return output.option.empty() ? output.file : output.option + " " + output.file;
}

[[noreturn]] void refuse(const Output& output, const std::string& why)
{
  throw InputError(fmt::format("{}: {}; give another file", named(output), why));
}

// The plain file of this name, if there is one.
std::optional<struct stat> plain_file(const std::string& file)
{
  struct stat status = {};
  if (descriptor_named(followed(file)) || stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
    return {};
  return status;
}

bool is_same(const std::string& a, const std::string& b)
{
  const auto first = plain_file(a), second = plain_file(b);
  return first && second ? is_one_file(*first, *second) : !first && !second && place_of(a) == place_of(b);
}

// Devices and pipes may be written to twice.
bool is_to_be_plain(const std::string& file)
{
  struct stat status = {};
  return plain_file(file) || (!descriptor_named(followed(file)) && stat(file.c_str(), &status) != 0);
}

void check_output(const Output& output, const std::string& database)
{
  const auto status = plain_file(output.file);
  if (status) {
    if (const auto input = noted_input(*status))
      refuse(output, *input == output.file ? "is read as input" : "is the same file as " + *input + ", which is read");
    struct stat standard = {};
    if (fstat(STDOUT_FILENO, &standard) == 0 && is_one_file(*status, standard))
      refuse(output, "is the file that standard output goes to");
  }
  if (database.empty() || !is_to_be_plain(output.file))
    return;
  for (const char* suffix : {"", "-journal", "-wal", "-shm"})
    if (is_same(output.file, database + suffix))
      refuse(output, "is the database that the results are kept in");
}

// The same JSON, in which nothing but what shows is written as it is: it may go to a terminal.
std::string with_controls_escaped(const std::string& json)
{
  constexpr char32_t last_of_c0 = 0x1f; // which JSON itself has escaped, but for ends of lines between values
  std::string text;
  for (const Character& character : characters(json))
    if (is_control(character.code) && character.code > last_of_c0)
      text += fmt::format("\\u{:04x}", static_cast<unsigned>(character.code));
    else
      text += character.bytes;
  return text;
}

} // namespace

std::string followed(const std::string& file)
{
  constexpr int most = 40; // as the kernel has it
  fs::path path      = file;
  std::error_code error;
  for (int i = 0; i < most && !descriptor_named(path.string()); ++i) {
    const fs::path target = fs::read_symlink(path, error);
    if (error)
      break;
    path = path.parent_path() / target;
  }
  return path.string();
}

std::string name_beside(const std::string& file)
{
  std::uint64_t number = 0;
  while (getrandom(&number, sizeof number, 0) != sizeof number) { // a signal, before the system has any
  }
  return (folder_beside(file) / fmt::format(".podsim-{:016x}", number)).string();
}

void check_outputs(const std::vector<Output>& outputs, const std::string& database)
{
  std::vector<Output> files;
  for (const Output& output : outputs)
    if (!output.file.empty() && output.file != "-")
      files.push_back(output);
  for (std::size_t i = 0; i < files.size(); ++i) {
    check_output(files[i], database);
    for (std::size_t j = 0; j < i; ++j)
      if (is_to_be_plain(files[i].file) && is_same(files[i].file, files[j].file))
        refuse(files[i], "is the same file as that of " + files[j].option);
  }
}

void write_file(const std::string& option, const std::string& file, const std::string& text)
{
  Outputs one;
  one.write({option, file}, text);
  one.finish();
}

void print(const Page& page)
{
  Outputs one;
  one.print(page);
  one.finish();
}

void Outputs::print(const Page& page)
{
  write_stdout(without_commands(page.text()));
}

void Outputs::commands(const std::string& lines)
{
  write_stdout(lines);
}

bool Outputs::write(const Output& output, const std::string& result)
{
  const std::string text = output.option == "--json" ? with_controls_escaped(result) : result;
  if (output.file == "-")
    return write_stdout(text);
  if (put(output.file, text))
    return true;
  const int reason = errno;
  failures_.push_back(fmt::format("{}: cannot be written: {}", named(output), std::strerror(reason)));
  return false;
}

bool Outputs::write_stdout(const std::string& text)
{
  std::fflush(stdout);
  if (stdout_lost_)
    return false;
  if (write_all(STDOUT_FILENO, text))
    return true;
  stdout_lost_ = true;
  reader_gone_ = errno == EPIPE && ends_on_broken_pipe();
  if (!reader_gone_)
    failures_.push_back(fmt::format("standard output: cannot be written: {}", std::strerror(errno)));
  return false;
}

void Outputs::finish() const
{
  for (std::size_t i = 0; i + 1 < failures_.size() + (reader_gone_ ? 1 : 0); ++i)
    complain(failures_[i]);
  if (reader_gone_)
    end_on_broken_pipe();
  if (!failures_.empty())
    throw InputError(failures_.back());
}

} // namespace podsim
