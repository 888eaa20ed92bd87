// What is read wherever a file is named, and what is no file of text.

#include "tests/support/own_files.hpp"
#include "tests/support/palm.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("bad input: files that are no scenario")
{
  const Sandbox sandbox;
  const auto show = [&](const std::string& text) {
    sandbox.write("s.json", text);
    return sandbox.call({"show", "s.json"});
  };
  const std::string whole = read_text(palm_file);
  check_error(show(whole.substr(0, whole.size() / 2)), bad_input, {"s.json: parse error at line "});
  check_error(show(whole.substr(0, whole.size() - 3)), bad_input, {"s.json: parse error at line "});
  check_error(show(""), bad_input, {"s.json: is empty"});
  check_error(show(" \n\n"), bad_input, {"s.json: is empty"});
  check_error(show("name: PaLM\nmodel: palm-540b\n"), bad_input, {"s.json: parse error at line 1"});
  check_error(show(whole + "x"), bad_input, {"s.json: parse error at line "});
  check_error(show("[]"), bad_input, {"s.json: expected an object, found array"});
  check_error(show("3"), bad_input, {"s.json: expected an object, found number"});
  check_error(show("null"), bad_input, {"s.json: expected an object, found null"});
  check_errors(show("{}"), {"the key \"schema_version\" is missing: 1", "the key \"name\" is missing: a text",
                            "the key \"machine\" is missing: one of a100-80gb-roce, dgx-1-v100",
                            "the key \"mesh\" is missing", "the key \"model\" is missing: one of bloom-176b, ",
                            "the key \"workload\" is missing: an object with batch, sequence, remat, optimizer",
                            "the key \"sharding\" is missing: one of context, data-parallel, fsdp",
                            "the key \"software\" is missing: one of "});
  check_error(show("{\"name\": \"a\", \"name\": \"b\"}"), bad_input, {"s.json: the key \"name\" stands twice"});
  check_error(show("{\"mesh\": {\"a\": {\"size\": 1, \"size\": 2}}}"), bad_input,
              {"s.json: the key \"size\" stands twice"});
  check_error(show("{\"name\": \"\xff\xfe\"}"), bad_input, {"s.json: parse error at line 1", "UTF-8"});
  check_error(show("{\"name\": \"\xed\xa0\x80\"}"), bad_input, {"s.json: parse error at line 1", "UTF-8"});
  check_error(show(std::string("{\"name\": \"a\0b\"}", 15)), bad_input, {"s.json: parse error at line 1"});
  check_error(show(std::string(100, '\0')), bad_input, {"s.json: parse error at line 1"});
  check_error(show("{\"name\": \"" + std::string(1'000'000, 'a')), bad_input, {"s.json: parse error at line 1"});
  check_error(show("{\"name\": " + std::string(1'000'000, '9') + "}"), bad_input, {"s.json: "});
  check_error(show("{\"note\": \"" + std::string(20U << 20U, 'a') + "\"}"), bad_input, {"s.json: larger than 16 MiB"});
  check_error(show(std::string(100'000, '[')), bad_input, {"s.json: nested deeper than 64 levels"});
  check_error(show("{\"note\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}"), bad_input,
              {"s.json: nested deeper than 64 levels"});
  std::string objects;
  for (int i = 0; i < 100'000; ++i)
    objects += "{\"a\":";
  check_error(show(objects + "1" + std::string(100'000, '}')), bad_input, {"s.json: nested deeper than 64 levels"});

  check_error(sandbox.call({"show", "."}), bad_input, {".: is a folder"});
  check_error(sandbox.call({"run", "/dev/null"}), bad_input, {"/dev/null: is empty"});
  check_error(sandbox.call({"run", "/dev/zero"}), bad_input, {"/dev/zero: larger than 16 MiB"});
  if (geteuid() != 0) { // root may read everything
    fs::permissions(sandbox.path("s.json"), fs::perms::none);
    check_error(sandbox.call({"show", "s.json"}), bad_input, {"s.json: cannot be read: Permission denied"});
  }
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
