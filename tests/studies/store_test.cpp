// Databases that somebody else has written into, or cut.

#include "tests/support/own_files.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <unistd.h>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("files: a database that somebody wrote into is one line with its name, whatever the value")
{
  const Sandbox box;
  fill(box);
  const std::vector<std::pair<std::string, Words>> columns{
      {"study", {"name", "text", "digest", "podsim_version", "shard", "shards", "left_out"}},
      {"combinations", {"number", "hash", "settings", "mine"}},
      {"results", {"hash", "podsim_version", "status", "reason", "figures"}}};
  const Words values{"x'00ff'",
                     "''",
                     "'{'",
                     "'[1,2]'",
                     "'{\"a\": []}'",
                     "'\"a\"'",
                     "'null'",
                     "'[-1]'",
                     "'[\"a\"]'",
                     "'{\"mfu\": \"high\"}'",
                     "'[1e99]'",
                     "-1",
                     "9223372036854775807",
                     "1.5",
                     "'\x1b[2J'"};
  for (const auto& [table, names] : columns)
    for (const std::string& name : names)
      for (const std::string& value : values) {
        INFO(table << "." << name << " = " << value);
        fs::copy_file(box.path("s.sqlite"), box.path("d.sqlite"), fs::copy_options::overwrite_existing);
        doctor(box.path("d.sqlite"),
               fmt::format("UPDATE {0} SET {1} = {2} WHERE rowid = (SELECT min(rowid) FROM {0})", table, name, value));
        const std::string merged = box.path("m.sqlite");
        for (const Words& words : {Words{"results", "d.sqlite", "--list-failures", "--sort", "mfu"},
                                   Words{"merge", "d.sqlite", "--db", "m.sqlite"}}) {
          const Outcome outcome = box.call(words);
          CHECK((outcome.code == done || outcome.code == bad_input || outcome.code == cannot_run));
          CHECK(outcome.out.find('\x1b') == std::string::npos);
          if (outcome.code == bad_input)
            check_error(outcome, bad_input, {"d.sqlite"});
        }
        fs::remove(merged);
      }
}

TEST_CASE("files: what is no database of podsim's, or not all of one, is one line with its name")
{
  const Sandbox box;
  fill(box);
  const auto doctored = [&](const std::string& change) {
    fs::copy_file(box.path("s.sqlite"), box.path("d.sqlite"), fs::copy_options::overwrite_existing);
    doctor(box.path("d.sqlite"), change);
    return box.call({"results", "d.sqlite"});
  };
  const std::string endless =
      "CREATE VIEW {0} AS WITH RECURSIVE n(hash) AS (SELECT 1 UNION ALL SELECT hash + 1 FROM n) "
      "SELECT hash AS number, hash, hash AS settings, 1 AS mine FROM n";
  for (const char* table : {"study", "combinations", "results"}) {
    check_error(doctored(fmt::format("DROP TABLE {}", table)), bad_input, {"d.sqlite", table});
    check_error(doctored(fmt::format(fmt::runtime("DROP TABLE {0}; " + endless), table)), bad_input,
                {"d.sqlite", table});
  }
  check_error(doctored("ALTER TABLE results RENAME COLUMN figures TO f"), bad_input, {"d.sqlite", "figures"});
  check_error(doctored("PRAGMA application_id = 1"), bad_input, {"d.sqlite", "not a file of podsim sweep"});
  check_error(doctored("PRAGMA user_version = 7"), bad_input, {"d.sqlite", "schema version 7"});
  CHECK(doctored("CREATE INDEX mine ON results (status)").code == done); // anybody's query may want one
  check_error(doctored("UPDATE combinations SET number = 99 WHERE number = 1"), bad_input, {"d.sqlite", "99 of 2"});

  const std::string whole = read_text(box.path("s.sqlite"));
  for (const std::size_t kept : {whole.size() / 2, std::size_t{4096}, std::size_t{100}, std::size_t{50}}) {
    box.write("cut.sqlite", whole.substr(0, kept));
    check_error(box.call({"results", "cut.sqlite"}), bad_input, {"cut.sqlite"});
  }
}

TEST_CASE("files: shards are joined whole or not at all")
{
  const Sandbox box;
  fill(box);
  fs::copy_file(box.path("s.sqlite"), box.path("bad.sqlite"));
  doctor(box.path("bad.sqlite"), "UPDATE results SET figures = 7");
  check_error(box.call({"merge", "s.sqlite", "bad.sqlite", "--db", "m.sqlite"}), bad_input, {"bad.sqlite", "figures"});
  CHECK_FALSE(fs::exists(box.path("m.sqlite")));
  fs::copy_file(box.path("s.sqlite"), box.path("m.sqlite"));
  doctor(box.path("m.sqlite"), "UPDATE study SET name = 'before'; DELETE FROM results");
  const std::string before = box.call({"results", "m.sqlite"}).out;
  check_error(box.call({"merge", "s.sqlite", "bad.sqlite", "--db", "m.sqlite"}), bad_input, {"bad.sqlite", "figures"});
  CHECK(box.call({"results", "m.sqlite"}).out == before);
  CHECK(box.call({"merge", "s.sqlite", "--db", "m.sqlite"}).code == done);
  CHECK(names_in(box) == Words{"a.json", "b.json", "bad.sqlite", "m.sqlite", "s.json", "s.sqlite"});
}
