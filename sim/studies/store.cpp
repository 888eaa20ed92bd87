#include "sim/studies/store.hpp"

#include "scenarios/resolve.hpp"
#include "sim/core/reader.hpp"
#include "sim/engine/clock/simgrid_module.hpp"
#include "sim/jobs/signals.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <thread>
#include <unistd.h>

namespace podsim {
namespace {

using namespace std::chrono_literals;

constexpr auto patience      = 10s;        // with another process that writes
constexpr auto longest_group = 100ms;      // of results in a transaction
constexpr int application_id = 0x706f6473; // "pods", by which the file is known as podsim's
constexpr int schema_version = 1;

const char* const schema = R"(
CREATE TABLE study (
  id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, text TEXT NOT NULL, digest TEXT NOT NULL,
  podsim_version TEXT NOT NULL, shard INTEGER NOT NULL, shards INTEGER NOT NULL, left_out TEXT NOT NULL);
CREATE TABLE combinations (
  number INTEGER PRIMARY KEY, hash TEXT NOT NULL, settings TEXT NOT NULL, mine INTEGER NOT NULL);
CREATE TABLE results (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL, podsim_version TEXT NOT NULL,
  status TEXT NOT NULL, reason TEXT NOT NULL, figures TEXT NOT NULL, UNIQUE (hash, podsim_version));
CREATE VIEW rows AS
  SELECT c.number, c.settings, r.status, r.reason, r.figures
  FROM combinations c LEFT JOIN results r
    ON r.hash = c.hash AND r.podsim_version = (SELECT podsim_version FROM study)
  WHERE c.mine ORDER BY c.number;
)";

// SQLite's word on what went wrong, and the system's where there is one.
std::string reason_of(sqlite3* database, int code)
{
  std::string text = sqlite3_errstr(code);
  if (const int system = database ? sqlite3_system_errno(database) : 0; system != 0)
    text += fmt::format(" ({})", std::strerror(system));
  return text;
}

[[noreturn]] void fail(const std::string& file, sqlite3* database, int code, bool writes)
{
  const int kind = code & 0xff;                    // without the details of an extended code
  if (kind == SQLITE_ERROR && database && !writes) // no such column
    throw InputError(fmt::format("{}: is not as podsim sweep writes it: {}", file, sqlite3_errmsg(database)));
  if (kind == SQLITE_NOTADB)
    throw InputError(fmt::format("{}: is not an SQLite file", file));
  if (kind == SQLITE_BUSY)
    throw InputError(fmt::format("{}: another program has kept it locked for {} s", file, patience.count()));
  const std::string what = fmt::format("{}: cannot be {}: {}{}", file, writes ? "written" : "read",
                                       reason_of(database, code), writes ? "; what was stored before is kept" : "");
  if (database && is_out_of_resources(sqlite3_system_errno(database)))
    throw OutOfResources(what);
  throw InputError(what);
}

} // namespace

class Statement {
public:
  Statement(const Store& store, const char* text, bool writes = false) : store_(store), writes_(writes)
  {
    check(sqlite3_prepare_v2(store.database_.get(), text, -1, &statement_, nullptr));
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&)            = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(const std::string& text)
  {
    check(sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
    return *this;
  }
  Statement& bind(std::int64_t number)
  {
    check(sqlite3_bind_int64(statement_, ++bound_, number));
    return *this;
  }
  bool row() // false: there is none left
  {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW)
      return true;
    if (code != SQLITE_DONE)
      check(code);
    return false;
  }
  void execute()
  {
    while (row()) {
    }
    check(sqlite3_reset(statement_));
    bound_ = 0;
  }
  // SQLite holds a value of any kind in any column.
  std::string text(int column) const
  {
    if (sqlite3_column_type(statement_, column) != SQLITE_TEXT)
      unexpected(column, "a text");
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return {bytes ? bytes : "", static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  std::int64_t number(int column, std::int64_t least, std::int64_t most) const
  {
    const std::int64_t number = sqlite3_column_int64(statement_, column);
    if (sqlite3_column_type(statement_, column) != SQLITE_INTEGER || number < least || number > most)
      unexpected(column, fmt::format("a number from {} to {}", least, most).c_str());
    return number;
  }
  Status status(int column) const
  {
    try {
      return status_of(text(column));
    } catch (const std::out_of_range&) {
      unexpected(column, "a status");
    }
  }
  // A JSON object of texts or of numbers, or a list of counts.
  Json object_of(int column, const char* what, bool (Json::*is_one)() const noexcept) const
  {
    Json json = parsed(column);
    if (!json.is_object() || !std::all_of(json.begin(), json.end(), [&](const Json& one) { return (one.*is_one)(); }))
      unexpected(column, what);
    return json;
  }
  std::vector<std::size_t> counts(int column) const
  {
    const Json json = parsed(column);
    if (!json.is_array() ||
        !std::all_of(json.begin(), json.end(), [](const Json& one) { return one.is_number_unsigned(); }))
      unexpected(column, "a list of counts");
    return json.get<std::vector<std::size_t>>();
  }

private:
  Json parsed(int column) const
  {
    return parse_json(text(column), fmt::format("{}: {}", store_.file_, sqlite3_column_name(statement_, column)));
  }
  [[noreturn]] void unexpected(int column, const char* expected) const
  {
    throw InputError(fmt::format("{}: is not as podsim sweep writes it: {}: expected {}", store_.file_,
                                 sqlite3_column_name(statement_, column), expected));
  }
  void check(int code) const
  {
    if (code != SQLITE_OK)
      fail(store_.file_, store_.database_.get(), code, writes_);
  }

  const Store& store_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_               = 0;
  bool writes_;
};

struct Store::Lock {
  int file;
};

void Store::Unlock::operator()(Lock* lock) const
{
  close(lock->file);
  delete lock;
}

void Store::Close::operator()(sqlite3* database) const
{
  sqlite3_close(database);
}

namespace {

// Opening a pipe would wait for somebody who may never come. What is not there yet will be plain.
void check_plain(const std::string& file)
{
  struct stat status = {};
  if (stat(file.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw InputError(fmt::format("{}: is {}, not an SQLite file", file,
                                 S_ISDIR(status.st_mode) ? "a folder" : "a pipe or a device"));
}

// Whether it lies on a file system that several machines share, as far as the kernel's word on it tells.
bool is_shared(const std::string& file)
{
  struct statfs system = {};
  if (statfs(file.c_str(), &system) != 0)
    return true;
  // linux/magic.h, and for what it lacks the file systems' own sources: NFS, SMB (two), 9P, Ceph, AFS, FUSE, Lustre,
  // GPFS
  constexpr std::array<std::uint32_t, 9> shared{0x6969,     0xff534d42, 0xfe534d42, 0x01021997, 0x00c36400,
                                                0x5346414f, 0x65735546, 0x0bd00bd0, 0x47504653};
  return std::find(shared.begin(), shared.end(), static_cast<std::uint32_t>(system.f_type)) != shared.end();
}

// An open file that is locked. It stays open in jobs that are forked later, so the lock goes when they are gone as
// well: they die with their parent.
int lock_file(const std::string& file, const std::function<void(const std::string&)>& tell)
{
  check_plain(file);
  const int opened = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (opened < 0 && is_out_of_resources(errno))
    throw OutOfResources(fmt::format("{}: cannot be written: {}", file, std::strerror(errno)));
  if (opened < 0)
    throw InputError(fmt::format("{}: cannot be written: {}", file, std::strerror(errno)));
  const auto end = std::chrono::steady_clock::now() + patience;
  bool said      = false;
  while (flock(opened, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return opened; // a file system without locks
    if (std::chrono::steady_clock::now() > end) {
      close(opened);
      throw InputError(fmt::format("{}: another podsim is still writing to it; wait until it is done, or give this one "
                                   "another file with --db",
                                   file));
    }
    if (!said)
      tell(fmt::format("{}: another podsim is writing to it; waiting up to {} s", file, patience.count()));
    said = true;
    if (DeferredSignals::any_pending()) {
      close(opened);
      throw Interrupted{};
    }
    std::this_thread::sleep_for(100ms);
  }
  return opened;
}

} // namespace

// `tell`: of one who writes.
Store::Store(std::string file, const std::function<void(const std::string&)>* tell) : file_(std::move(file))
{
  const bool writes = tell != nullptr;
  if (writes)
    lock_.reset(new Lock{lock_file(file_, *tell)});
  else if (std::error_code error; !std::filesystem::exists(file_, error))
    throw InputError(fmt::format("{}: there is no such file", file_));
  check_plain(file_);
  sqlite3* opened = nullptr;
  // Readers as well: what a killed sweep left half written is rolled back first. Where the file may not be written
  // SQLite reads it as it is.
  const int code = sqlite3_open_v2(file_.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
  database_.reset(opened);
  if (code != SQLITE_OK)
    fail(file_, opened, code, writes);
  sqlite3_extended_result_codes(opened, 1);
  sqlite3_busy_timeout(opened, static_cast<int>(std::chrono::milliseconds(patience).count()));
  // The file may be anybody's: nothing in it is to run.
  sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  const auto pragma = [&](const char* name) {
    Statement statement(*this, fmt::format("PRAGMA {}", name).c_str());
    return statement.row() ? statement.number(0, INT32_MIN, UINT32_MAX) : 0;
  };
  const bool empty = pragma("schema_version") == 0;
  if (empty && writes) {
    if (sqlite3_db_readonly(opened, "main") == 1)
      throw InputError(fmt::format("{}: cannot be written: it is read-only", file_));
    run(fmt::format("BEGIN; {} PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT", schema, application_id,
                    schema_version)
            .c_str());
  } else if (empty) {
    throw InputError(fmt::format("{}: is empty; its sweep was ended before it had begun", file_));
  } else if (pragma("application_id") != application_id) {
    throw InputError(fmt::format("{}: is not a file of podsim sweep", file_));
  } else if (const auto version = pragma("user_version"); version != schema_version) {
    throw InputError(fmt::format("{}: is of schema version {}; this podsim knows {}", file_, version, schema_version));
  }
  check_tables();
  if (writes)
    // A log of what is new spares waiting for the disk, but needs memory that processes share, which network file
    // systems, where job arrays put their shards, do not give.
    run(fmt::format("PRAGMA journal_mode = {}; PRAGMA synchronous = NORMAL", is_shared(file_) ? "TRUNCATE" : "WAL")
            .c_str());
}

// A view in place of a table could reckon for ever.
void Store::check_tables() const
{
  for (const char* table : {"study", "combinations", "results"}) {
    Statement statement(*this, "SELECT type FROM sqlite_master WHERE name = ?");
    if (!statement.bind(std::string(table)).row() || statement.text(0) != "table")
      throw InputError(fmt::format("{}: is not as podsim sweep writes it: there is no table \"{}\"", file_, table));
  }
}

namespace {

std::string bytes_of_program()
{
  const char* const program = "/proc/self/exe";
  std::error_code error;
  std::string bytes(std::filesystem::file_size(program, error), '\0');
  std::ifstream(program, std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

} // namespace

std::string results_version()
{
  static const std::string version =
      fmt::format("{}+{}, SimGrid {}", PODSIM_VERSION, hash_of(bytes_of_program()).substr(0, 8), simgrid_version());
  return version;
}

Store::~Store()
{
  if (database_ && unsettled_)
    sqlite3_exec(database_.get(), "COMMIT", nullptr, nullptr, nullptr);
  if (database_ && lock_) // no journal is left beside it
    sqlite3_exec(database_.get(), "PRAGMA journal_mode = DELETE", nullptr, nullptr, nullptr);
}

Store Store::to_write(const std::string& file, const std::function<void(const std::string&)>& tell)
{
  return {file, &tell};
}

Store Store::to_read(const std::string& file)
{
  return {file, nullptr};
}

void Store::run(const char* statement) const
{
  if (const int code = sqlite3_exec(database_.get(), statement, nullptr, nullptr, nullptr); code != SQLITE_OK) {
    const int first = sqlite3_extended_errcode(database_.get());
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    fail(file_, database_.get(), first, true);
  }
}

void Store::together(const std::function<void()>& work)
{
  if (sqlite3_get_autocommit(database_.get()) == 0) // within another one
    return work();
  run("BEGIN IMMEDIATE");
  try {
    work();
  } catch (...) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  run("COMMIT");
}

void Store::begin(const StoredStudy& study, const std::vector<StoredCombination>& combinations)
{
  together([&] {
    Statement(*this, "DELETE FROM study", true).execute();
    Statement(*this, "DELETE FROM combinations", true).execute();
    Statement(*this, "INSERT INTO study VALUES (1, ?, ?, ?, ?, ?, ?, ?)", true)
        .bind(study.name)
        .bind(study.text)
        .bind(study.digest)
        .bind(study.version)
        .bind(study.shard)
        .bind(study.shards)
        .bind(Json(study.left_out).dump())
        .execute();
    Statement insert(*this, "INSERT INTO combinations VALUES (?, ?, ?, ?)", true);
    for (const StoredCombination& one : combinations)
      insert.bind(static_cast<std::int64_t>(one.number))
          .bind(one.hash)
          .bind(one.settings)
          .bind(one.mine ? 1 : 0)
          .execute();
  });
}

void Store::add(const std::string& hash, const std::string& version, const StoredResult& result)
{
  const auto now = std::chrono::steady_clock::now();
  if (!unsettled_ && sqlite3_get_autocommit(database_.get()) != 0) { // not within together()
    run("BEGIN IMMEDIATE");
    unsettled_ = now;
  }
  Statement(*this, "INSERT INTO results (hash, podsim_version, status, reason, figures) VALUES (?, ?, ?, ?, ?)", true)
      .bind(hash)
      .bind(version)
      .bind(std::string(word(result.status)))
      .bind(result.reason)
      .bind(Json(result.figures).dump())
      .execute();
  if (unsettled_ && now - *unsettled_ >= longest_group)
    settle();
}

void Store::settle()
{
  if (!unsettled_)
    return;
  unsettled_.reset(); // also where it fails: then it is rolled back
  run("COMMIT");
}

void Store::forget(const std::string& version, const std::vector<Status>& statuses)
{
  Statement statement(*this, "DELETE FROM results WHERE podsim_version = ? AND status = ?", true);
  for (const Status status : statuses)
    statement.bind(version).bind(std::string(word(status))).execute();
}

std::optional<std::string> Store::study_name() const
{
  Statement statement(*this, "SELECT name FROM study");
  return statement.row() ? std::optional(statement.text(0)) : std::nullopt;
}

StoredStudy Store::study() const
{
  constexpr int most_shards = 1'000'000;
  Statement statement(*this, "SELECT name, text, digest, podsim_version, shards, shard, left_out FROM study");
  if (!statement.row())
    throw InputError(fmt::format("{}: holds no study yet", file_));
  const auto shards = static_cast<int>(statement.number(4, 1, most_shards));
  return {.name     = statement.text(0),
          .text     = statement.text(1),
          .digest   = statement.text(2),
          .version  = statement.text(3),
          .shard    = static_cast<int>(statement.number(5, 1, shards)),
          .shards   = shards,
          .left_out = statement.counts(6)};
}

std::vector<StoredCombination> Store::combinations() const
{
  Statement statement(*this, "SELECT number, hash, settings, mine FROM combinations ORDER BY number");
  std::vector<StoredCombination> all;
  while (statement.row())
    all.push_back({static_cast<std::size_t>(statement.number(0, 0, INT64_MAX)), statement.text(1),
                   statement.object_of(2, "an object of texts", &Json::is_string).dump(),
                   statement.number(3, 0, 1) != 0});
  return all;
}

std::map<std::string, StoredResult> Store::results(const std::string& version) const
{
  Statement statement(*this, "SELECT hash, status, reason, figures FROM results WHERE podsim_version = ?");
  statement.bind(version);
  std::map<std::string, StoredResult> all;
  while (statement.row())
    all[statement.text(0)] = {statement.status(1), statement.text(2),
                              statement.object_of(3, "an object of numbers", &Json::is_number).get<Figures>()};
  return all;
}

std::set<std::string> Store::hashes(const std::string& version) const
{
  Statement statement(*this, "SELECT hash FROM results WHERE podsim_version = ?");
  statement.bind(version);
  std::set<std::string> all;
  while (statement.row())
    all.insert(statement.text(0));
  return all;
}

void Store::take(const Store& other, const std::string& version)
{
  const auto known = hashes(version);
  together([&] {
    for (const auto& [hash, result] : other.results(version))
      if (!known.contains(hash))
        add(hash, version, result);
  });
}

} // namespace podsim
