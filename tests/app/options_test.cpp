// Commands and options: help, what is mistyped, and numbers as people write them.

#include "sim/app/options.hpp"
#include "tests/support/palm.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("command line: help and usage")
{
  SECTION("bare, short help with examples first")
  {
    const Outcome outcome = call({});
    CHECK(outcome.code == done);
    CHECK(outcome.err.empty());
    CHECK_THAT(outcome.out, Catch::Contains("podsim run scenarios/training/palm-540b.json"));
    CHECK(outcome.out.find("Examples") < outcome.out.find("Commands"));
    CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') <= 25); // a page of a terminal
  }
  SECTION("help of everything")
  {
    for (const Words& words : {Words{"--help"}, {"run", "--help"}, {"show", "--help"}, {"list", "--help"}}) {
      const Outcome outcome = call(words);
      CHECK(outcome.code == done);
      CHECK(outcome.err.empty());
      CHECK_THAT(outcome.out, Catch::Contains("Examples"));
    }
    CHECK_THAT(call({"--version"}).out, Catch::StartsWith("podsim "));
  }
  SECTION("mistyped")
  {
    check_error(call({"rum", palm_file}), bad_input, {"rum", "did you mean \"run\"?"});
    check_error(call({"shwo", palm_file}), bad_input, {"did you mean \"show\"?"});
    check_error(call({""}), bad_input, {"no command \"\""});
    check_error(call({"x\ny"}), bad_input, {"x\\x0ay"});
    check_error(call({"--hepl"}), bad_input, {"--hepl", "did you mean \"--help\"?"});
    check_error(call({"run", palm_file, "--jsom", "x"}), bad_input,
                {"--jsom", "did you mean \"--json\"?", "podsim run --help"});
    check_error(call({"run", palm_file, "--qiet"}), bad_input, {"--qiet", "did you mean \"--quiet\"?"});
    check_error(call({"run"}), bad_input, {"SCENARIO"});
    check_error(call({"show"}), bad_input, {"SCENARIO"});
    check_error(call({"list"}), bad_input, {"WHAT"});
    check_error(call({"run", ""}), bad_input, {"expected a scenario file"});
    check_error(call({"run", palm_file, "--json"}), bad_input, {"--json"});
    check_error(call({"run", palm_file, "--json", ""}), bad_input, {"--json"});
    check_error(call({"run", palm_file, palm_file}), bad_input, {"not expected"});
    check_error(call({"list", "model"}), bad_input, {"did you mean \"models\"?"});
    check_error(call({"run", palm_file, "--granularity", "chunks"}), bad_input,
                {"--granularity", "chunks", "auto, ", "did you mean \"chunk\"?"});
  }
}

TEST_CASE("help and version are commands as well")
{
  CHECK(call({"version"}).out == call({"--version"}).out);
  CHECK(call({"help"}).out == call({}).out);
  CHECK(call({"help", "run"}).out == call({"run", "--help"}).out);
  CHECK(call({"help", "help"}).out == call({}).out);
  for (const Words& words : {Words{"version"}, {"help"}, {"help", "sweep"}, {"help", "version"}})
    CHECK(call(words).code == done);
  check_error(call({"help", "rnu"}), bad_input, {"no command \"rnu\"", "did you mean \"run\"?"});
  check_error(call({"hlep"}), bad_input, {"did you mean \"help\"?"});
  check_error(call({"versoin"}), bad_input, {"did you mean \"version\"?"});
}

TEST_CASE("numbers of options are decimal, whatever zeros lead")
{
  const auto parsed = [](const std::string& text) -> std::string {
    CLI::App app;
    FleetChoice choice;
    add_fleet(app, choice, "heap");
    const std::vector<std::string> words{"--workers", text};
    try {
      app.parse(std::vector<std::string>{words.rbegin(), words.rend()});
    } catch (const CLI::ParseError& wrong) {
      return wrong.what();
    }
    return fmt::format("{}", choice.workers);
  };
  CHECK(parsed("8") == "8");
  CHECK(parsed("08") == "8");
  CHECK(parsed("0010") == "10");
  for (const char* wrong : {"02000", "0x10", "0", "-1", "1e3", "2.5", "", "1025", "99999999999999999999", "ten", "8 "})
    CHECK_THAT(parsed(wrong),
               Catch::Contains(fmt::format("expected a whole number from 1 to 1024, found \"{}\"", wrong)));
  const Words validate{"validate", "--filter", "PALM-540B-HFU", "--quiet"};
  const auto timed = [&](const std::string& text) {
    Words words = validate;
    words.insert(words.end(), {"--timeout", text});
    return call(words);
  };
  CHECK(timed("0100").code == done); // 100 s, not 64
  CHECK(timed("1e3").code == done);
  for (const char* wrong : {"0x10", "nan", "inf", "0", "-5", "soon"})
    check_error(timed(wrong), bad_input, {"--timeout", "expected a number from 0.001", wrong});
}
