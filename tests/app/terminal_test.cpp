// What reaches terminals and the logs of CI systems.

#include "sim/core/errors.hpp"
#include "tests/support/own_files.hpp"
#include "tests/support/palm.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("command line: colours for a terminal only, and not with NO_COLOR")
{
  CHECK(call({"run", palm_file}, {.environment = {{"TERM", "xterm"}}}).out.find('\x1b') == std::string::npos);
  CHECK(call({"show", palm_file}, {.environment = {{"TERM", "xterm"}}}).out.find('\x1b') == std::string::npos);

  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) {
    WARN("no pseudo-terminal is to be had here (a chroot without /dev/pts?): its colours are not tested");
    return;
  }
  const std::string name = ptsname(terminal);
  const int kept_open    = open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC); // or what was written may be lost
  const auto printed     = [&](const std::string& no_color) {
    CHECK(call({"list", "models"}).code == done);
    // A program that fails writes nothing here, and the read would wait for ever.
    REQUIRE(
            call({"run", palm_file}, {.environment = {{"TERM", "xterm"}, {"NO_COLOR", no_color}}, .output = name}).code ==
            done);
    std::string text(1U << 16U, '\0');
    const ssize_t got = read(terminal, text.data(), text.size());
    return text.substr(0, got > 0 ? static_cast<std::size_t>(got) : 0);
  };
  CHECK(printed("").find('\x1b') != std::string::npos);
  const std::string plain = printed("1");
  CHECK(plain.find("PaLM") != std::string::npos);
  CHECK(plain.find('\x1b') == std::string::npos);
  close(kept_open);
  close(terminal);
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
