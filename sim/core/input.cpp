#include "sim/core/input.hpp"

#include "sim/core/errors.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <poll.h>
#include <unistd.h>
#include <utility>

namespace podsim {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t largest = 16U << 20U;
constexpr auto patience       = 2s; // until somebody opens a pipe to write to it

using Identity = std::pair<dev_t, ino_t>;

// What this process has read, on whatever thread. A pipe gives its text only once, but a scenario may be asked for
// twice.
class Read {
public:
  static Read& all()
  {
    static Read read;
    return read;
  }

  void keep_file(const Identity& file, const std::string& name)
  {
    const std::lock_guard lock(mutex_);
    files_.emplace(file, name);
  }
  void keep_pipe(const Identity& pipe, const std::string& text)
  {
    const std::lock_guard lock(mutex_);
    pipes_[pipe] = text;
  }
  std::optional<std::string> file(const Identity& file) const { return find(files_, file); }
  std::optional<std::string> pipe(const Identity& pipe) const { return find(pipes_, pipe); }

private:
  using Texts = std::map<Identity, std::string>;

  std::optional<std::string> find(const Texts& among, const Identity& one) const
  {
    const std::lock_guard lock(mutex_);
    const auto found = among.find(one);
    return found == among.end() ? std::nullopt : std::optional(found->second);
  }

  mutable std::mutex mutex_;
  Texts files_; // names
  Texts pipes_;
};

Identity identity(const struct stat& file)
{
  return {file.st_dev, file.st_ino};
}

class Descriptor {
public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor()
  {
    if (descriptor_ >= 0)
      close(descriptor_);
  }
  Descriptor(const Descriptor&)            = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }

private:
  int descriptor_;
};

[[noreturn]] void cannot_be_read(const std::string& file, int reason)
{
  const std::string what = fmt::format("{}: cannot be read: {}", file, std::strerror(reason));
  if (is_out_of_resources(reason))
    throw OutOfResources(what);
  throw InputError(what);
}

[[noreturn]] void too_large(const std::string& file)
{
  throw InputError(fmt::format("{}: larger than 16 MiB, which no scenario is", file));
}

// By what it is, before it is opened: opening some devices does something.
void check_kind(const std::string& file, const struct stat& status)
{
  const char* kind = S_ISDIR(status.st_mode)    ? "a folder"
                     : S_ISSOCK(status.st_mode) ? "a socket"
                     : S_ISBLK(status.st_mode)  ? "a device"
                                                : nullptr;
  if (kind)
    throw InputError(fmt::format("{}: is {}, not a JSON file", file, kind));
  if (S_ISREG(status.st_mode) && status.st_size > static_cast<off_t>(largest))
    too_large(file);
}

// True when there is something to read or the last writer has gone.
bool wait_to_read(int descriptor, std::chrono::milliseconds limit)
{
  pollfd one{descriptor, POLLIN, 0};
  return poll(&one, 1, static_cast<int>(limit.count())) != 0;
}

std::string read_all(const std::string& file, int descriptor, bool may_lack_writer)
{
  std::string text;
  std::string block(1U << 16U, '\0');
  bool waited = false;
  for (;;) {
    const ssize_t got = read(descriptor, block.data(), block.size());
    if (got > 0) {
      may_lack_writer = false;
      text.append(block, 0, static_cast<std::size_t>(got));
      if (text.size() > largest)
        too_large(file);
    } else if (got == 0 && !may_lack_writer) {
      return text;
    } else if (got == 0 && waited) {
      throw InputError(fmt::format("{}: is a pipe that nobody writes to", file));
    } else if (got == 0) {
      waited          = true;
      may_lack_writer = !wait_to_read(descriptor, patience);
    } else if (errno == EAGAIN) { // there is a writer, who takes its time
      may_lack_writer = false;
      wait_to_read(descriptor, -1ms);
    } else if (errno != EINTR) {
      cannot_be_read(file, errno);
    }
  }
}

} // namespace

bool is_standard_input(const std::string& file)
{
  return file == "-";
}

bool input_exists(const std::string& file)
{
  std::error_code error;
  return is_standard_input(file) || std::filesystem::exists(file, error);
}

std::string read_input(const std::string& file)
{
  const bool standard = is_standard_input(file);
  struct stat status  = {};
  if ((standard ? fstat(STDIN_FILENO, &status) : stat(file.c_str(), &status)) != 0)
    cannot_be_read(file, errno);
  check_kind(file, status);
  if (const auto known = Read::all().pipe(identity(status)))
    return *known;
  // Not to wait for a writer who never comes; a file is read as ever.
  const Descriptor opened(standard ? -1 : open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!standard && (opened.get() < 0 || fstat(opened.get(), &status) != 0))
    cannot_be_read(file, errno);
  check_kind(file, status); // it may have become another one
  const bool pipe  = S_ISFIFO(status.st_mode);
  std::string text = read_all(file, standard ? STDIN_FILENO : opened.get(), pipe && !standard);
  if (S_ISREG(status.st_mode))
    Read::all().keep_file(identity(status), file);
  if (pipe || standard)
    Read::all().keep_pipe(identity(status), text);
  return text;
}

std::vector<std::string> json_files_below(const std::string& folder)
{
  std::vector<std::string> files;
  try {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      struct stat status = {};
      if (entry.path().extension() != ".json" || (stat(entry.path().c_str(), &status) == 0 && S_ISDIR(status.st_mode)))
        continue;
      if (status.st_mode != 0 && !S_ISREG(status.st_mode)) // 0: a link to nothing
        throw InputError(fmt::format("{}: is a {}, not a JSON file", entry.path().string(),
                                     S_ISFIFO(status.st_mode) ? "pipe" : "device or socket"));
      files.push_back(entry.path().string());
    }
  } catch (const std::filesystem::filesystem_error& wrong) {
    if (wrong.code() != std::errc::no_such_file_or_directory)
      cannot_be_read(folder, wrong.code().value());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string folder_of(const std::string& file)
{
  const std::string folder = std::filesystem::path(file).parent_path().string();
  return folder == "/dev" || folder == "/dev/fd" || folder == "/proc/self/fd" ? "" : folder;
}

void note_input(const std::string& file)
{
  struct stat status = {};
  if (stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode))
    Read::all().keep_file(identity(status), file);
}

std::optional<std::string> noted_input(const struct stat& file)
{
  return Read::all().file(identity(file));
}

} // namespace podsim
