// Completions and the manual page, which the build makes from the table of options.

#include "reports/command_line.hpp"
#include "tests/support/sandbox.hpp"

#include <regex>
#include <set>

using namespace podsim;
using namespace podsim::test;

namespace {

const std::string documents = PODSIM_DOCUMENTS;

std::string tool(const std::string& program, const Words& arguments)
{
  const Outcome outcome = run_program(program, arguments);
  return outcome.code == 0 ? outcome.err : "failed: " + outcome.out + outcome.err;
}

// The commands that the help names, and the options that each one's help names.
std::vector<std::string> names_in(const std::string& text, const std::string& pattern)
{
  std::vector<std::string> names;
  const std::regex wanted(pattern, std::regex::multiline);
  for (auto at = std::sregex_iterator(text.begin(), text.end(), wanted); at != std::sregex_iterator(); ++at)
    names.push_back((*at)[1]);
  return names;
}

std::vector<std::string> command_names()
{
  const std::string help = call({}).out;
  return names_in(help.substr(help.find("Commands:")), "^  ([a-z]+) ");
}

std::vector<std::string> options_of(const std::string& command)
{
  return names_in(call({command, "--help"}).out, "^  (?:-[a-z],)?(--[a-z-]+)");
}

// What bash proposes for the last word, one a line.
std::string completed(const Words& words)
{
  std::string line;
  for (const std::string& word : words)
    line += " '" + word + "'";
  const Outcome outcome = run_program("bash",
                                      {"-c", ". '" + documents + "/podsim.bash'; COMP_WORDS=(podsim" + line +
                                                 "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _podsim; printf '%s\\n' "
                                                 "\"${COMPREPLY[@]}\""},
                                      {.directory = source});
  CHECK(outcome.err.empty());
  return "\n" + outcome.out;
}

} // namespace

TEST_CASE("completions and the manual page list every option of every command")
{
  const auto names = command_names();
  REQUIRE(names.size() >= 6);
  CHECK(std::find(names.begin(), names.end(), "check") != names.end());
  const std::string bash = read_text(documents + "/podsim.bash");
  const std::string zsh  = read_text(documents + "/_podsim");
  const std::string fish = read_text(documents + "/podsim.fish");
  const std::string man  = read_text(documents + "/podsim.1");
  for (const std::string& name : names) {
    const auto options = options_of(name);
    CAPTURE(name);
    CHECK(!options.empty());
    const auto part = [&](const std::string& text, const std::string& from, const std::string& to) {
      const auto begin = text.find(from);
      REQUIRE(begin != std::string::npos);
      return text.substr(begin, text.find(to, begin + from.size()) - begin);
    };
    const std::string in_bash = part(bash, "\n    " + name + ") ", "esac ;;");
    const std::string in_zsh  = part(zsh, "        " + name + ") _arguments", " ;;");
    const std::string in_man  = part(man, ".SS " + name + "\n", "\n.S");
    for (const std::string& option : options) {
      CAPTURE(option);
      const std::string dashes = std::regex_replace(option, std::regex("-"), "\\-");
      CHECK(std::regex_search(in_bash, std::regex("[' ]" + option + "[' ]")));
      CHECK_THAT(in_zsh, Catch::Contains(option + "["));
      CHECK_THAT(fish, Catch::Contains("__fish_seen_subcommand_from " + name + "' -l " + option.substr(2) + " "));
      CHECK_THAT(in_man, Catch::Contains("\\fB" + dashes + "\\fR"));
    }
  }
}

TEST_CASE("help shows an example before the options")
{
  for (const std::string& name : command_names()) {
    const std::string help = call({name, "--help"}).out;
    CAPTURE(name);
    CHECK(help.find("  podsim " + name) < help.find("--"));
    CHECK(help.find("  podsim " + name) < help.find("Usage:"));
  }
}

TEST_CASE("bash completes commands, options, choices and files")
{
  CHECK(tool("bash", {"-n", documents + "/podsim.bash"}).empty());
  CHECK(completed({"val"}) == "\nvalidate\n");
  CHECK_THAT(completed({""}),
             Catch::Contains("\ncheck\n") && Catch::Contains("\nrun\n") && Catch::Contains("\n--version\n"));
  CHECK(completed({"check", "--ju"}) == "\n--junit\n");
  CHECK_THAT(completed({"check", "b.json", "--"}),
             Catch::Contains("\n--update\n") && !Catch::Contains("--granularity"));
  CHECK(completed({"run", "--granularity", "c"}) == "\ncollective\nchunk\n");
  CHECK(completed({"list", "mod"}) == "\nmodels\n");
  CHECK(completed({"check", "tests/data/jun"}) == "\ntests/data/junit.xsd\n");
  CHECK(completed({"check", "tests/baseline.json", "--json", "tests/data/jun"}) == "\ntests/data/junit.xsd\n");
  CHECK(completed({"run", "--set", "work"}) == "\n\n"); // a path within the scenario, which bash does not know
}

TEST_CASE("completions know the names of scenarios and studies beside files")
{
  const auto names = [](const Words& words) {
    std::string line;
    for (const std::string& word : words)
      line += " '" + word + "'";
    const Outcome outcome =
        run_program("bash",
                    {"-c", ". '" + documents + "/podsim.bash'; COMP_WORDS=('" PODSIM_PROGRAM "'" + line +
                               "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _podsim; printf '%s\\n' \"${COMPREPLY[@]}\""},
                    {.directory = source});
    CHECK(outcome.err.empty());
    return outcome.out;
  };
  CHECK(names({"run", "palm-62"}) == "palm-62b\n");
  CHECK(names({"show", "a100/palm-6"}) == "a100/palm-62b\n");
  CHECK(names({"validate", "palm-540b-s"}) == "palm-540b-serial\n");
  CHECK(names({"sweep", "palm-mes"}) == "palm-meshes\n");
  CHECK(names({"compare", "a.json", "palm-table"}) == "palm-table-3\n");
  CHECK(names({"compare", "palm-62"}) == "palm-62b\npalm-62b-on-a100\n");
  CHECK(names({"sweep", "palm-540b-ser"}) == "\n");                    // no study
  CHECK(names({"run", "tests/data/jun"}) == "tests/data/junit.xsd\n"); // a file
  CHECK_THAT(read_text(documents + "/_podsim"), Catch::Contains("'1:SCENARIO: _podsim_listed scenarios'"));
  CHECK_THAT(read_text(documents + "/podsim.fish"), Catch::Contains("for i in scenarios studies; podsim list $i"));
}

TEST_CASE("the manual page renders without a warning, whatever the texts hold")
{
  const auto warnings = [](const std::string& file) { return tool("groff", {"-man", "-ww", "-Tutf8", "-z", file}); };
  CHECK(warnings(documents + "/podsim.1").empty());
  const Outcome page = run_program("groff", {"-man", "-Tascii", "-P-cbou", documents + "/podsim.1"});
  CHECK_THAT(page.out, Catch::Contains("EXAMPLES") && Catch::Contains("EXIT STATUS") && Catch::Contains("--update"));

  const Sandbox sandbox;
  CommandLineText nasty;
  nasty.name     = "podsim";
  nasty.version  = "1";
  nasty.summary  = ".dots and \\backslashes 'quoted'";
  nasty.commands = {
      {"run", "'tis [a] b:c", {".x --y"}, {{"--z", "-z", "FILE", ".it's \\n [x]: 'y'", {}, true, false}}}};
  sandbox.write("p.1", man_page(nasty));
  CHECK(warnings(sandbox.path("p.1")).empty());
  sandbox.write("p.bash", bash_completion(nasty));
  CHECK(tool("bash", {"-n", sandbox.path("p.bash")}).empty());
  CHECK_THAT(zsh_completion(nasty), Catch::Contains("'*--z[.it'\\''s \\\\n \\[x\\]\\: '\\''y'\\'']:FILE:_files'"));
  CHECK_THAT(fish_completion(nasty), Catch::Contains(" -l z -s z -r -F -d '.it\\'s \\\\n [x]: \\'y\\''"));
}
