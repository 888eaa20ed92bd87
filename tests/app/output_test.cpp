// What podsim reads and writes where the files are not as one hopes: closed descriptors, links, pipes, full disks,
// other people's texts, an output that is an input.

#include "reports/csv.hpp"
#include "sim/core/errors.hpp"
#include "tests/support/sandbox.hpp"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <sqlite3.h>
#include <sstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

namespace {

const std::string model_run = source + "/scenarios/training/palm-8b.json";

json scenario(const json& patch = json::object())
{
  json made = json::parse(read_text(model_run));
  made.merge_patch(patch);
  return made;
}

json published(const std::string& id)
{
  return {{{"id", id},
           {"metric", "mfu"},
           {"value", 46.2},
           {"unit", "%"},
           {"convention", "palm"},
           {"statistic", "unstated"},
           {"calibration", false},
           {"source", "made up"}}};
}

json study(const json& patch = json::object())
{
  json made{{"schema_version", 1},
            {"name", "a study"},
            {"scenario", "a.json"},
            {"axes", {{{"path", "workload.batch"}, {"values", {256, 512}}}}},
            {"metrics", {"step_time", "mfu"}}};
  made.merge_patch(patch);
  return made;
}

// In the sandbox's folder, with podsim as $PODSIM.
Outcome shell(const Sandbox& box, const std::string& script, std::map<std::string, std::string> environment = {})
{
  environment["PODSIM"] = PODSIM_PROGRAM;
  return run_program("sh", {"-c", script}, {.environment = environment, .directory = box.path("")});
}

std::vector<std::string> names_in(const Sandbox& box)
{
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(box.path("")))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void query(const std::string& file, const std::string& text)
{
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
  INFO(text);
  const int code = sqlite3_exec(database, text.c_str(), nullptr, nullptr, nullptr);
  CHECK((code == SQLITE_OK || code == SQLITE_MISMATCH)); // of a primary key SQLite itself sees to the type
  sqlite3_close(database);
}

// A scenario, a study of it that was swept, and a baseline of it.
void fill(const Sandbox& box)
{
  box.write("a.json", scenario({{"published", published("X")}}));
  box.write("s.json", study());
  REQUIRE(box.call({"sweep", "s.json", "--db", "s.sqlite", "--quiet"}).code == done);
  box.write("b.json", json{{"schema_version", 1}, {"scenarios", {"a.json"}}});
  REQUIRE(box.call({"check", "b.json", "--update", "--quiet"}).code == done);
}

} // namespace

TEST_CASE("files: closed standard descriptors never become a file of results")
{
  const Sandbox box;
  box.write("a.json", scenario());
  box.write("s.json", study());
  for (const char* closed : {">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"}) {
    INFO(closed);
    const Outcome swept =
        shell(box, fmt::format("rm -f s.sqlite; $PODSIM sweep s.json --csv s.csv --workers 1 {}", closed));
    const bool told = std::string(closed).find(">&-") == 0 || std::string(closed).find(" >&-") != std::string::npos;
    CHECK(swept.code == (told ? bad_input : done)); // a table that nobody gets is an error
    CHECK(read_text(box.path("s.sqlite")).starts_with("SQLite format 3"));
    CHECK(read_text(box.path("s.csv")).starts_with("number,"));
    CHECK(box.call({"results", "s.sqlite"}).code == done);
  }
}

TEST_CASE("files: an output has a name of its own until it is whole, and no link there is followed")
{
  const Sandbox box;
  box.write("a.json", scenario());
  box.write("victim", std::string("mine"));
  for (const char* name : {"out.json.new", ".podsim-0000000000000000"})
    fs::create_symlink("victim", box.path(name));
  REQUIRE(box.call({"run", "a.json", "--quiet", "--json", "out.json"}).code == done);
  CHECK(read_text(box.path("victim")) == "mine");
  CHECK(json::accept(read_text(box.path("out.json"))));
  CHECK(fs::is_regular_file(fs::symlink_status(box.path("out.json"))));
  CHECK(names_in(box) == Words{".podsim-0000000000000000", "a.json", "out.json", "out.json.new", "victim"});

  SECTION("a link given by name leads to the file that is written, also to one that is not there yet")
  {
    fs::create_symlink("out.json", box.path("link"));
    fs::create_symlink("later.json", box.path("dangling"));
    for (const char* link : {"link", "dangling"}) {
      const std::string target = fs::read_symlink(box.path(link)).string();
      box.write("out.json", std::string("old"));
      CHECK(box.call({"run", "a.json", "--quiet", "--json", link}).code == done);
      CHECK(fs::is_symlink(box.path(link)));
      CHECK(json::accept(read_text(box.path(target))));
    }
  }
  SECTION("permissions of a file stay, a new one's are those that the umask leaves")
  {
    const auto mode = [&](const char* name) {
      struct stat status = {};
      REQUIRE(stat(box.path(name).c_str(), &status) == 0);
      return status.st_mode & 07777U;
    };
    REQUIRE(chmod(box.path("out.json").c_str(), 0604) == 0);
    CHECK(shell(box, "umask 027; $PODSIM run a.json --quiet --json out.json && "
                     "$PODSIM run a.json --quiet --json fresh.json")
              .code == done);
    CHECK(mode("out.json") == 0604);
    CHECK(mode("fresh.json") == 0640);
  }
  SECTION("devices, pipes and descriptors are written through")
  {
    CHECK(json::accept(box.call({"run", "a.json", "--quiet", "--json", "/dev/stdout"}).out));
    CHECK(json::accept(box.call({"run", "a.json", "--quiet", "--json", "/dev/stderr"}).err));
    CHECK(box.call({"run", "a.json", "--quiet", "--json", "/dev/null"}).code == done);
    CHECK(fs::is_character_file("/dev/null"));
    const Outcome both = shell(box, "$PODSIM run a.json --json /dev/stdout >both && cat both");
    CHECK(both.code == done);
    CHECK_THAT(both.out, Catch::Contains("MFU") && Catch::Contains("\"podsim_version\""));
    const Outcome third = shell(box, "$PODSIM run a.json --quiet --json /dev/fd/7 7>third && cat third");
    CHECK(json::accept(third.out));
    const Outcome pipe = shell(box, "mkfifo p; cat p >got & $PODSIM run a.json --quiet --json p && wait && cat got");
    CHECK(json::accept(pipe.out));
  }
}

TEST_CASE("files: an output that is an input, the database or another output is refused before anything runs")
{
  const Sandbox box;
  fill(box);
  box.write("derived.json", json{{"base", "a.json"}, {"name", "derived"}});
  box.write("c.json", json{{"schema_version", 1}, {"name", "c"}, {"compare", {"a.json", "derived.json"}}});
  fs::create_hard_link(box.path("a.json"), box.path("hard.json"));
  fs::create_symlink("a.json", box.path("link.json"));
  fs::create_directory(box.path("sub"));
  const std::string absolute = box.path("a.json");
  const std::vector<Words> refused{{"run", "a.json", "--json", "a.json"},
                                   {"run", "a.json", "--json", "./sub/../a.json"},
                                   {"run", "a.json", "--json", absolute},
                                   {"run", "a.json", "--json", "hard.json"},
                                   {"run", "link.json", "--json", "a.json"},
                                   {"run", "a.json", "--json", "link.json"},
                                   {"run", "derived.json", "--json", "a.json"},
                                   {"compare", "a.json", "derived.json", "--csv", "derived.json"},
                                   {"compare", "c.json", "--json", "c.json"},
                                   {"compare", "c.json", "--json", "x", "--csv", "x"},
                                   {"compare", "c.json", "--csv", "sub/../x", "--json", "x"},
                                   {"validate", "a.json", "--csv", "a.json"},
                                   {"validate", "a.json", "--csv", "x", "--json", "x"},
                                   {"check", "b.json", "--json", "b.json"},
                                   {"check", "b.json", "--update", "--json", "b.json"},
                                   {"check", "b.json", "--junit", "a.json"},
                                   {"check", "b.json", "--junit", "x", "--json", "x"},
                                   {"sweep", "s.json", "--csv", "s.json"},
                                   {"sweep", "s.json", "--csv", "a.json"},
                                   {"sweep", "s.json", "--db", "s.sqlite", "--json", "s.sqlite"},
                                   {"sweep", "s.json", "--db", "new.sqlite", "--json", "new.sqlite"},
                                   {"sweep", "s.json", "--db", "s.sqlite", "--json", "s.sqlite-journal"},
                                   {"sweep", "s.json", "--db", "s.json"},
                                   {"results", "s.sqlite", "--csv", "s.sqlite"}};
  std::map<std::string, std::string> before;
  for (const std::string& name : names_in(box))
    if (name != "sub")
      before[name] = read_text(box.path(name));
  for (const Words& words : refused) {
    INFO(fmt::format("{}", fmt::join(words, " ")));
    check_error(box.call(words), bad_input, {words.back(), "give another file"});
  }
  const Outcome redirected = shell(box, "$PODSIM run a.json --json out >out");
  CHECK(redirected.code == bad_input);
  CHECK_THAT(redirected.err, Catch::Contains("standard output"));
  fs::remove(box.path("out"));
  for (const auto& [name, text] : before)
    CHECK(read_text(box.path(name)) == text);
  CHECK(names_in(box).size() == before.size() + 1);
  CHECK(box.call({"check", "b.json", "--update", "--quiet"}).code == done); // which is what it is for
}

TEST_CASE("files: a full disk leaves what was there, no half file, and what can be written elsewhere is")
{
  const Sandbox box;
  box.write("a.json", scenario());
  box.write("out.json", std::string("old"));
  const Outcome full = shell(box, "ulimit -f 1; $PODSIM run a.json --json out.json"); // 512 bytes
  CHECK(full.code == bad_input);
  CHECK_THAT(full.err, Catch::Contains("--json out.json: cannot be written: File too large"));
  CHECK_THAT(full.out, Catch::Contains("MFU"));
  CHECK(read_text(box.path("out.json")) == "old");
  CHECK(names_in(box) == Words{"a.json", "out.json"});

  const Outcome no_table = call({"run", box.path("a.json"), "--json", box.path("out.json")}, {.output = "/dev/full"});
  CHECK(no_table.code == bad_input);
  check_error(no_table, bad_input, {"standard output: cannot be written"});
  CHECK(json::accept(read_text(box.path("out.json"))));

  const Outcome one_of_two =
      box.call({"compare", "a.json", "a.json", "--quiet", "--csv", "/dev/full", "--json", "both.json"});
  CHECK(one_of_two.code == bad_input);
  CHECK(json::accept(read_text(box.path("both.json"))));
  CHECK_THAT(one_of_two.err, Catch::Contains("--csv /dev/full: cannot be written"));
}

TEST_CASE("files: where the reader of a pipe has gone, files are written all the same and nothing is said")
{
  const Sandbox box;
  box.write("a.json", scenario());
  const Outcome head = shell(
      box, "{ $PODSIM run a.json --json out.json; echo $? >code; } | true; while ! [ -s code ]; do sleep .1; done; "
           "cat code");
  CHECK(head.err.empty());
  CHECK(json::accept(read_text(box.path("out.json"))));
  CHECK(head.out == fmt::format("{}\n", 128 + SIGPIPE)); // as other programs end there
}

TEST_CASE("files: texts of other people reach terminals and logs as one harmless line, and JSON as they are")
{
  CHECK(one_line("a\nb\x1b[1m\x7f\xc2\x9b\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c\xe2\x80\xa8\xff\xc3\xa4") ==
        "a\\x0ab\\x1b[1m\\x7f\\u009b\\u202e\\u2066\\u200f\\u061c\\u2028\\xff\xc3\xa4");
  const std::string bad = "x\n::error::gone\x1b[2J \xc2\x9b"
                          "31m \xe2\x80\xae \xe2\x80\xa8 ##[error]y";
  const Sandbox box;
  box.write(
      "a.json",
      scenario({{"name", bad}, {"model", {{"base", "palm-8b"}, {"name", bad}}}, {"published", published("X" + bad)}}));
  json swept       = study({{"name", bad}, {"question", bad}});
  swept["axes"][0] = {{"name", "b" + bad}, {"cases", {{{"label", bad}, {"set", {{"workload.batch", 256}}}}}}};
  box.write("s.json", swept);
  box.write("c.json", json{{"schema_version", 1},
                           {"name", bad},
                           {"question", bad},
                           {"compare", {{{"label", bad}, {"scenario", "a.json"}}, "a.json"}},
                           {"ratios", {{{"metric", "mfu"}, {"of", bad}, {"over", "a"}, {"says", bad}}}}});
  box.write("b.json", json{{"schema_version", 1}, {"scenarios", {"a.json"}}});
  box.write("wrong\n::error::.json", json{{"k" + bad, 1}});
  const std::vector<Words> commands{{"run", "a.json"},
                                    {"show", "a.json"},
                                    {"compare", "c.json"},
                                    {"validate", "a.json"},
                                    {"validate", "."},
                                    {"sweep", "s.json"},
                                    {"results", "s.sqlite", "--list-failures"},
                                    {"check", "b.json", "--update"},
                                    {"check", "b.json"},
                                    {"run", "wrong\n::error::.json"},
                                    {"run", "none" + bad},
                                    {bad}};
  for (const Words& words : commands) {
    INFO(words.front());
    const Outcome outcome = call(
        words, {.environment = {{"GITHUB_ACTIONS", "true"}, {"GITHUB_STEP_SUMMARY", ""}}, .directory = box.path("")});
    CHECK(outcome.code != 70);
    const std::string all = outcome.out + outcome.err;
    CHECK(all.size() > 10);
    for (const char* raw : {"\x1b", "\xc2\x9b", "\xe2\x80\xae", "\xe2\x80\xa8", "\n::error::gone", "##["})
      CHECK(all.find(raw) == std::string::npos);
  }
  const Outcome result = box.call({"run", "a.json", "--quiet", "--json", "-"});
  CHECK(json::parse(result.out)["scenario"]["name"] == bad);
  for (const char* raw : {"\x1b", "\xc2\x9b", "\xe2\x80\xae", "\xe2\x80\xa8"})
    CHECK(result.out.find(raw) == std::string::npos);

  // A name alone can be a whole line.
  box.write("a.json", scenario({{"name", "\xc2\xa0::error::gone"}}));
  const Words plain{"run", "a.json"};
  CHECK_THAT(call(plain, {.environment = {{"GITHUB_ACTIONS", "true"}}, .directory = box.path("")}).out,
             Catch::StartsWith("\xc2\xa0\\x3a:error::gone\n"));
  CHECK_THAT(call(plain, {.environment = {{"GITHUB_ACTIONS", ""}}, .directory = box.path("")}).out,
             Catch::StartsWith("\xc2\xa0::error::gone\n"));
}

TEST_CASE("files: cells of CSV that a spreadsheet would run are texts there, and numbers stay numbers")
{
  CHECK(csv_line({"=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1",
                  "\xef\xbc\x9d"
                  "1",
                  "-nan", "+", "-"}) == "'=1+1,'+cmd|x,'-2+3,'@SUM(A1),'\t=1,\"'\r=1\",'\xef\xbc\x9d"
                                        "1,'-nan,'+,'-\n");
  CHECK(csv_line({"-1", "+1", "-1.5e-3", "-.5", "1e9", "a=b", "", "x-y"}) == "-1,+1,-1.5e-3,-.5,1e9,a=b,,x-y\n");
  CHECK(csv_line({"=\"a\",b", "two\nlines", "a\x1b\xc2\x9b"}) == "\"'=\"\"a\"\",b\",\"two\nlines\",a\\x1b\\u009b\n");
}

TEST_CASE("files: standard input and pipes are read wherever a file is, as often as it takes")
{
  const Sandbox box;
  box.write("a.json", scenario({{"published", published("X")}}));
  box.write("s.json", study());
  box.write("c.json", json{{"schema_version", 1}, {"name", "c"}, {"compare", {"a.json", "a.json"}}});
  box.write("b.json", json{{"schema_version", 1}, {"scenarios", {"a.json"}}});
  REQUIRE(box.call({"check", "b.json", "--update", "--quiet"}).code == done);
  for (const char* command : {"run a.json", "show a.json", "validate a.json", "compare c.json", "check b.json",
                              "sweep s.json --db s.sqlite", "compare a.json a.json"}) {
    INFO(command);
    const std::string words = command;
    const std::size_t at    = words.find(".json") - 1;
    const std::string file  = words.substr(at, 6);
    const std::string first = words.substr(0, at), last = words.substr(at + 6);
    const Outcome named = shell(box, "$PODSIM " + words);
    CHECK(named.code == done);
    for (const std::string& script :
         {fmt::format("cat {} | $PODSIM {}-{}", file, first, last), fmt::format("$PODSIM {}- {}<{}", first, last, file),
          fmt::format("cat {} | $PODSIM {}/dev/stdin{}", file, first, last),
          fmt::format("mkfifo p; (sleep .3; cat {} >p) & $PODSIM {}p{}; c=$?; rm p; exit $c", file, first, last)}) {
      INFO(script);
      const Outcome piped = shell(box, script);
      CHECK(piped.err.find("pipe") == std::string::npos);
      CHECK(piped.code == done);
      CHECK(piped.out.size() > 10);
    }
  }
  CHECK(shell(box, "$PODSIM sweep - <s.json").err.find("--db") != std::string::npos);
  CHECK(shell(box, "$PODSIM run - </dev/null").code == bad_input);
  CHECK(shell(box, "$PODSIM run - <&-").code == bad_input);
  CHECK(shell(box, "$PODSIM run - --json a.json <a.json").code == bad_input);
}

TEST_CASE("files: what is no file of text, or has nobody to write it, is refused in one line")
{
  const Sandbox box;
  fill(box);
  fs::create_directory(box.path("folder"));
  REQUIRE(mkfifo(box.path("folder/x.json").c_str(), 0600) == 0);
  REQUIRE(mkfifo(box.path("pipe").c_str(), 0600) == 0);
  REQUIRE(mkfifo(box.path("pipe.json").c_str(), 0600) == 0);
  box.write("based.json", json{{"base", "pipe"}, {"name", "x"}});
  box.write("model.json", scenario({{"model", "pipe.json"}}));
  box.write("on-pipe.json", study({{"scenario", "pipe"}}));
  box.write("gate.json", json{{"schema_version", 1}, {"folders", {"folder"}}});
  box.write("huge.json", std::string((16U << 20U) + 1, ' '));
  check_error(box.call({"run", "pipe"}), bad_input, {"pipe", "nobody writes to"});
  check_error(box.call({"run", "based.json"}), bad_input, {"pipe", "nobody writes to"});
  check_error(box.call({"show", "model.json"}), bad_input, {"pipe.json", "nobody writes to"});
  check_error(box.call({"compare", "a.json", "pipe"}), bad_input, {"pipe", "nobody writes to"});
  check_error(box.call({"sweep", "pipe", "--db", "x.sqlite"}), bad_input, {"pipe", "nobody writes to"});
  check_error(box.call({"sweep", "on-pipe.json"}), bad_input, {"pipe", "nobody writes to"});
  check_error(box.call({"check", "pipe"}), bad_input, {"pipe", "nobody writes to"});
  check_error(box.call({"validate", "folder"}), bad_input, {"folder/x.json", "is a pipe"});
  check_error(box.call({"check", "gate.json"}), bad_input, {"folder/x.json", "is a pipe"});
  check_error(box.call({"results", "pipe"}), bad_input, {"pipe", "not an SQLite file"});
  check_error(box.call({"sweep", "s.json", "--db", "pipe"}), bad_input, {"pipe", "not an SQLite file"});
  check_error(box.call({"merge", "pipe", "--db", "x.sqlite"}), bad_input, {"pipe", "not an SQLite file"});
  check_error(box.call({"merge", "s.sqlite", "--db", "folder"}), bad_input, {"folder", "not an SQLite file"});
  check_error(box.call({"run", "folder"}), bad_input, {"folder", "is a folder"});
  check_error(box.call({"run", "/dev/zero"}), bad_input, {"/dev/zero", "16 MiB"});
  check_error(box.call({"run", "huge.json"}), bad_input, {"huge.json", "16 MiB"});
  CHECK_FALSE(fs::exists(box.path("x.sqlite")));
}

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
        query(box.path("d.sqlite"),
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
    query(box.path("d.sqlite"), change);
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
  query(box.path("bad.sqlite"), "UPDATE results SET figures = 7");
  check_error(box.call({"merge", "s.sqlite", "bad.sqlite", "--db", "m.sqlite"}), bad_input, {"bad.sqlite", "figures"});
  CHECK_FALSE(fs::exists(box.path("m.sqlite")));
  fs::copy_file(box.path("s.sqlite"), box.path("m.sqlite"));
  query(box.path("m.sqlite"), "UPDATE study SET name = 'before'; DELETE FROM results");
  const std::string before = box.call({"results", "m.sqlite"}).out;
  check_error(box.call({"merge", "s.sqlite", "bad.sqlite", "--db", "m.sqlite"}), bad_input, {"bad.sqlite", "figures"});
  CHECK(box.call({"results", "m.sqlite"}).out == before);
  CHECK(box.call({"merge", "s.sqlite", "--db", "m.sqlite"}).code == done);
  CHECK(names_in(box) == Words{"a.json", "b.json", "bad.sqlite", "m.sqlite", "s.json", "s.sqlite"});
}

namespace {

// Until it is no longer the process of this test.
void wait_for_program(pid_t process)
{
  std::error_code error;
  const fs::path tests = fs::read_symlink("/proc/self/exe", error);
  for (int i = 0; i < 5000 && fs::read_symlink(fmt::format("/proc/{}/exe", process), error) == tests; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// Whether a process of the group runs; one that has ended may wait a while for whoever has it now to notice.
bool any_alive(pid_t group)
{
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream stream(entry.path() / "stat");
    std::string stat;
    if (!std::getline(stream, stat) || stat.rfind(')') == std::string::npos)
      continue;
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    char state    = 0;
    pid_t parent  = 0;
    pid_t process = 0;
    if (fields >> state >> parent >> process && process == group && state != 'Z' && state != 'X')
      return true;
  }
  return false;
}

} // namespace

TEST_CASE("files: whenever a signal comes, no half file, no file of podsim's own and no process is left")
{
  const Sandbox box;
  box.write("a.json", scenario({{"published", published("X")}}));
  box.write("s.json", study({{"axes",
                              {{{"path", "machine.ici.link_bandwidth"},
                                {"range", {{"from", 10}, {"to", 209}, {"step", 1}, {"unit", "GB/s"}}}}}}}));
  box.write("b.json", json{{"schema_version", 1}, {"scenarios", {"a.json"}}});
  REQUIRE(box.call({"check", "b.json", "--update", "--quiet"}).code == done);
  const std::string baseline = read_text(box.path("b.json"));
  const std::vector<Words> commands{{"run", "a.json", "--json", "out"},
                                    {"validate", "a.json", "--csv", "out"},
                                    {"compare", "a.json", "a.json", "--json", "out"},
                                    {"check", "b.json", "--junit", "out"},
                                    {"check", "b.json", "--update", "--json", "out"},
                                    {"sweep", "s.json", "--csv", "out"}};
  int left_out = 0;
  for (const Words& words : commands)
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
      for (const int milliseconds : {0, 10, 25, 45, 80}) {
        INFO(words.front() << ", signal " << signal << " after " << milliseconds << " ms");
        fs::remove(box.path("out"));
        pid_t group           = 0;
        const Outcome outcome = call(words, {.directory = box.path(""), .meanwhile = [&](pid_t process) {
                                               group = process;
                                               wait_for_program(process);
                                               std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
                                               kill(process, signal);
                                             }});
        const bool whole      = outcome.code == done;
        left_out += whole ? 0 : 1;
        CHECK((whole || outcome.code == was_interrupted || (outcome.signalled && outcome.code == 128 + signal)));
        if (fs::exists(box.path("out")))
          CHECK(read_text(box.path("out")).ends_with("\n"));
        CHECK(read_text(box.path("b.json")) == baseline);
        for (const std::string& name : names_in(box))
          CHECK_FALSE((name.starts_with(".") || name.ends_with("-journal")));
        for (int i = 0; i < 500 && any_alive(group); ++i) // what was killed ends soon, not at once
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        CHECK_FALSE(any_alive(group));
      }
  CHECK(left_out > 0);
  CHECK(box.call({"sweep", "s.json", "--quiet"}).code == done); // goes on with what there is
}
