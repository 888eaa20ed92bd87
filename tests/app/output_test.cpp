// What podsim writes where the files are not as one hopes: closed descriptors, links, pipes, full disks, an output that
// is an input.

#include "tests/support/own_files.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

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
