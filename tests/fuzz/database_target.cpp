// Databases of sweeps: `podsim results` of one, `podsim merge` of it with itself, and a sweep that goes on with it.
// Bytes are mutated, and values in columns, among them the JSON that some hold.

#include "sim/app/study_output.hpp"
#include "sim/studies/store.hpp"
#include "sim/studies/sweep.hpp"
#include "tests/fuzz/json_mutator.hpp"

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sqlite3.h>

namespace podsim::fuzz {
namespace {

namespace fs = std::filesystem;

void show_results(const Store& store)
{
  const Sweep sweep = read_sweep_text(store.study().text, store.file());
  StudyOutput output;
  output.view.sort          = sweep.metrics.front();
  output.view.top           = 100;
  output.view.list_failures = true;
  if (sweep.metrics.size() > 1)
    output.pareto = sweep.metrics[0] + "," + sweep.metrics[1];
  check(output, sweep);
  StudyTable table = study_table(store, sweep);
  arrange(table, output.view);
  require(!to_text(table, output.view, Style(true)).empty(), "something is printed");
  require(!to_csv(table, output.view).empty(), "there is a line of titles");
  to_json_lines(table, output.view);
}

void merge(const Store& shard, const std::string& file)
{
  fs::remove(file);
  const StoredStudy study = shard.study();
  Store target            = Store::to_write(file, [](const std::string&) {});
  target.begin(study, shard.combinations());
  target.take(shard, study.version);
  require(target.results(study.version).size() == shard.results(study.version).size(), "all results are merged");
}

void go_on(const std::string& file)
{
  Store store = Store::to_write(file, [](const std::string&) {});
  if (!store.study_name())
    return;
  const StoredStudy study = store.study();
  store.begin(study, store.combinations());
  store.forget(study.version, {Status::crashed, Status::timed_out});
  const auto results = store.results(study.version);
  if (!results.contains("new"))
    store.add("new", study.version, {Status::ok, "", {}});
}

bool database_input(const std::string& input)
{
  static const std::string file   = scratch_file("study.sqlite");
  static const std::string target = scratch_file("merged.sqlite");
  for (const char* more : {"-journal", "-wal", "-shm"})
    fs::remove(file + more);
  write_scratch(file, input);
  {
    const Store store = Store::to_read(file);
    show_results(store);
    merge(store, target);
  }
  go_on(file);
  return true;
}

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database  = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

// Nothing where the bytes are no database.
Database opened(const std::string& bytes)
{
  sqlite3* opened = nullptr;
  sqlite3_open_v2(":memory:", &opened, SQLITE_OPEN_READWRITE, nullptr);
  Database database(opened);
  auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(bytes.size() + 1));
  std::copy(bytes.begin(), bytes.end(), copy);
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  sqlite3_deserialize(opened, "main", copy, size, size, SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
  sqlite3_limit(opened, SQLITE_LIMIT_LENGTH, 1'000'000);
  const bool sound = sqlite3_exec(opened, "PRAGMA writable_schema = 1; SELECT count(*) FROM sqlite_schema", nullptr,
                                  nullptr, nullptr) == SQLITE_OK;
  return sound ? std::move(database) : nullptr;
}

Statement prepared(sqlite3* database, const std::string& text)
{
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(database, text.c_str(), -1, &statement, nullptr);
  return Statement(statement);
}

std::string text_in(sqlite3_stmt* statement, int column)
{
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
  return {bytes ? bytes : "", static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

std::string changed_text(const std::string& text, Random& random)
{
  static const std::vector<std::string> texts{
      "",   "[]", "{}",         "[-1]", "[1e99]",  "{\"mfu\": \"x\"}", "null",
      "ok", "\n", "::error::x", "=1+1", "\x1b[2J", "\xff\xfe",         "{\"mfu\": 1e999}"};
  if (below(4, random) == 0)
    return any_of(texts, random);
  if (Json::accept(text)) {
    Json json = Json::parse(text);
    for (bool more = true; more; more = below(3, random) == 0)
      change_anything(json, random);
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  std::string changed = text;
  changed.insert(below(changed.size() + 1, random), any_of(texts, random));
  return changed;
}

// An UPDATE, a DELETE or a change of the schema.
void change_database(sqlite3* database, Random& random)
{
  static const std::vector<std::vector<std::string>> columns{
      {"study", "name", "text", "text", "text", "digest", "podsim_version", "shard", "shards", "left_out"},
      {"combinations", "number", "hash", "settings", "mine"},
      {"results", "sequence", "hash", "podsim_version", "status", "reason", "figures", "figures"}};
  static const std::vector<std::string> numbers{
      "0", "-1", "1", "9223372036854775807", "-9223372036854775808", "1e308", "NULL", "2", "1000000", "x'00ff'", "'x'"};
  static const std::vector<std::string> statements{"DELETE FROM study",
                                                   "DELETE FROM combinations WHERE rowid % 2",
                                                   "DELETE FROM results WHERE rowid % 2",
                                                   "PRAGMA user_version = 2",
                                                   "PRAGMA application_id = 1",
                                                   "DROP TABLE results",
                                                   "DROP VIEW rows",
                                                   "ALTER TABLE results RENAME TO others",
                                                   "ALTER TABLE study ADD COLUMN more",
                                                   "UPDATE results SET figures = x'00'"};
  const std::vector<std::string>& table = any_of(columns, random);
  const std::string& column             = table[1 + below(table.size() - 1, random)];
  const std::size_t kind                = below(16, random);
  if (kind == 0) {
    sqlite3_exec(database, any_of(statements, random).c_str(), nullptr, nullptr, nullptr);
  } else if (kind < 4) {
    sqlite3_exec(database,
                 ("UPDATE " + table[0] + " SET " + column + " = " + any_of(numbers, random) +
                  " WHERE rowid % 3 = " + std::to_string(below(3, random)))
                     .c_str(),
                 nullptr, nullptr, nullptr);
  } else {
    const Statement read = prepared(database, "SELECT rowid, " + column + " FROM " + table[0] + " LIMIT 1 OFFSET " +
                                                  std::to_string(below(table[0] == "study" ? 1 : 4, random)));
    if (!read || sqlite3_step(read.get()) != SQLITE_ROW)
      return;
    const std::string text = changed_text(text_in(read.get(), 1), random);
    const Statement write  = prepared(database, "UPDATE " + table[0] + " SET " + column + " = ? WHERE rowid = ?");
    if (!write)
      return;
    sqlite3_bind_text(write.get(), 1, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    sqlite3_bind_int64(write.get(), 2, sqlite3_column_int64(read.get(), 0));
    sqlite3_step(write.get());
  }
}

std::optional<std::string> mutated_database(const std::string& input, Random& random)
{
  if (below(4, random) == 0)
    return {}; // bytes
  const Database database = opened(input);
  if (!database)
    return {};
  for (bool more = true; more; more = below(3, random) == 0)
    change_database(database.get(), random);
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, decltype(&sqlite3_free)> bytes(
      sqlite3_serialize(database.get(), "main", &size, 0), sqlite3_free);
  return bytes ? std::optional(std::string(bytes.get(), bytes.get() + size)) : std::nullopt;
}

std::optional<std::string> crossed_databases(const std::string& input, const std::string& donor, Random& random)
{
  const std::size_t from = below(std::min(input.size(), donor.size()) + 1, random);
  return input.substr(0, from) + donor.substr(from);
}

} // namespace

const Target database_target{"database", database_input, mutated_database, crossed_databases};

} // namespace podsim::fuzz
