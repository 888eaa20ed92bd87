#include "sim/app/store.hpp"

#include "scenarios/resolve.hpp"
#include "sim/app/terminal.hpp"
#include "sim/core/reader.hpp"
#include "sim/engine/simgrid_engine.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sqlite3.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

namespace podsim {
namespace {

using namespace std::chrono_literals;

constexpr auto patience      = 10s;        // with another process that writes
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
  const int kind = code & 0xff; // without the details of an extended code
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
  std::string text(int column) const
  {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return {bytes ? bytes : "", static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }

private:
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

// An open file that is locked. It stays open in jobs that are forked later, so the lock goes when they are gone as
// well: they die with their parent.
int lock_file(const std::string& file)
{
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
      complain(fmt::format("{}: another podsim is writing to it; waiting up to {} s", file, patience.count()));
    said = true;
    std::this_thread::sleep_for(100ms);
  }
  return opened;
}

} // namespace

Store::Store(std::string file, bool writes) : file_(std::move(file))
{
  if (writes)
    lock_.reset(new Lock{lock_file(file_)});
  else if (std::error_code error; !std::filesystem::exists(file_, error))
    throw InputError(fmt::format("{}: there is no such file", file_));
  sqlite3* opened = nullptr;
  // Readers as well: what a killed sweep left half written is rolled back first. Where the file may not be written
  // SQLite reads it as it is.
  const int code = sqlite3_open_v2(file_.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
  database_.reset(opened);
  if (code != SQLITE_OK)
    fail(file_, opened, code, writes);
  sqlite3_extended_result_codes(opened, 1);
  sqlite3_busy_timeout(opened, static_cast<int>(std::chrono::milliseconds(patience).count()));
  const auto pragma = [&](const char* name) {
    Statement statement(*this, fmt::format("PRAGMA {}", name).c_str());
    return statement.row() ? statement.number(0) : 0;
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
  if (writes)
    // A rollback journal also works on network file systems, where job arrays put their shards; it is kept between
    // transactions, which spares its folder two changes for each result.
    run("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = NORMAL");
}

std::string results_version()
{
  static const std::string version = fmt::format("{}+{}, SimGrid {}", PODSIM_VERSION,
                                                 hash_of(file_text("/proc/self/exe")).substr(0, 8), simgrid_version());
  return version;
}

Store::~Store()
{
  if (database_ && lock_) // no journal is left beside it
    sqlite3_exec(database_.get(), "PRAGMA journal_mode = DELETE", nullptr, nullptr, nullptr);
}

Store Store::to_write(const std::string& file)
{
  return {file, true};
}

Store Store::to_read(const std::string& file)
{
  return {file, false};
}

void Store::run(const char* statement) const
{
  if (const int code = sqlite3_exec(database_.get(), statement, nullptr, nullptr, nullptr); code != SQLITE_OK) {
    const int first = sqlite3_extended_errcode(database_.get());
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    fail(file_, database_.get(), first, true);
  }
}

void Store::begin(const StoredStudy& study, const std::vector<StoredCombination>& combinations)
{
  run("BEGIN IMMEDIATE");
  try {
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
  } catch (...) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  run("COMMIT");
}

void Store::add(const std::string& hash, const std::string& version, const StoredResult& result)
{
  Statement(*this, "INSERT INTO results (hash, podsim_version, status, reason, figures) VALUES (?, ?, ?, ?, ?)", true)
      .bind(hash)
      .bind(version)
      .bind(result.status)
      .bind(result.reason)
      .bind(result.figures)
      .execute();
}

void Store::forget(const std::string& version, const std::vector<std::string>& statuses)
{
  Statement statement(*this, "DELETE FROM results WHERE podsim_version = ? AND status = ?", true);
  for (const std::string& status : statuses)
    statement.bind(version).bind(status).execute();
}

namespace {

// With care, as somebody may have changed the file by hand.
std::vector<std::size_t> read_counts(const std::string& text, const std::string& file)
{
  Document document;
  *document.json = parse_json(text, file);
  document.origins.set("", file + ": left_out");
  std::vector<std::size_t> counts;
  for (const Reader& one : Reader(document).elements())
    counts.push_back(static_cast<std::size_t>(one.count(0)));
  return counts;
}

} // namespace

std::optional<std::string> Store::study_name() const
{
  Statement statement(*this, "SELECT name FROM study");
  return statement.row() ? std::optional(statement.text(0)) : std::nullopt;
}

StoredStudy Store::study() const
{
  Statement statement(*this, "SELECT name, text, digest, podsim_version, shard, shards, left_out FROM study");
  if (!statement.row())
    throw InputError(fmt::format("{}: holds no study yet", file_));
  return {.name     = statement.text(0),
          .text     = statement.text(1),
          .digest   = statement.text(2),
          .version  = statement.text(3),
          .shard    = static_cast<int>(statement.number(4)),
          .shards   = static_cast<int>(statement.number(5)),
          .left_out = read_counts(statement.text(6), file_)};
}

std::vector<StoredCombination> Store::combinations() const
{
  Statement statement(*this, "SELECT number, hash, settings, mine FROM combinations ORDER BY number");
  std::vector<StoredCombination> all;
  while (statement.row())
    all.push_back({static_cast<std::size_t>(statement.number(0)), statement.text(1), statement.text(2),
                   statement.number(3) != 0});
  return all;
}

std::map<std::string, StoredResult> Store::results(const std::string& version) const
{
  Statement statement(*this, "SELECT hash, status, reason, figures FROM results WHERE podsim_version = ?");
  statement.bind(version);
  std::map<std::string, StoredResult> all;
  while (statement.row())
    all[statement.text(0)] = {statement.text(1), statement.text(2), statement.text(3)};
  return all;
}

void Store::take(const Store& other, const std::string& version)
{
  const auto known = results(version);
  run("BEGIN IMMEDIATE");
  try {
    for (const auto& [hash, result] : other.results(version))
      if (!known.contains(hash))
        add(hash, version, result);
  } catch (...) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  run("COMMIT");
}

} // namespace podsim
