#pragma once
// SQLite files from outside of podsim.

#include <catch2/catch.hpp>
#include <cstdint>
#include <sqlite3.h>
#include <string>

namespace podsim::test {

// What somebody may have done to a store with another program.
inline void doctor(const std::string& file, const std::string& text)
{
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
  INFO(text);
  const int code = sqlite3_exec(database, text.c_str(), nullptr, nullptr, nullptr);
  CHECK((code == SQLITE_OK || code == SQLITE_MISMATCH)); // of a primary key SQLite itself sees to the type
  sqlite3_close(database);
}

// One number that a query on a store gives.
inline std::int64_t number_of(const std::string& file, const std::string& text)
{
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
  sqlite3_busy_timeout(database, 5000);
  sqlite3_stmt* statement = nullptr;
  std::int64_t number     = -1;
  if (sqlite3_prepare_v2(database, text.c_str(), -1, &statement, nullptr) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW)
    number = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return number;
}

} // namespace podsim::test
