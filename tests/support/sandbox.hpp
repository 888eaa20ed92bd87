#pragma once
// The program as a user calls it, in a folder of the test's own.

#include "tests/support/run_program.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace podsim::test {

namespace fs = std::filesystem;

inline const std::string source = PODSIM_SOURCE_DIR;
constexpr int done              = 0;
constexpr int bad_input         = 2;
constexpr int cannot_run        = 3;
constexpr int was_interrupted   = 130;

using Words = std::vector<std::string>;

inline Outcome call(const Words& arguments, const RunOptions& options = {})
{
  return run_program(PODSIM_PROGRAM, arguments, options);
}

inline std::string read_text(const std::string& file)
{
  std::ifstream stream(file, std::ios::binary);
  REQUIRE(stream);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

// A folder of the test's own.
class Sandbox {
public:
  Sandbox()
  {
    std::string pattern = (fs::temp_directory_path() / "podsim-test-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()));
    folder_ = pattern;
  }
  ~Sandbox()
  {
    std::error_code error;
    fs::remove_all(folder_, error);
  }
  Sandbox(const Sandbox&)            = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  void write(const std::string& name, const std::string& text) const
  {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void write(const std::string& name, const nlohmann::json& value) const { write(name, value.dump(2)); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  Outcome call(const Words& arguments) const { return test::call(arguments, {.directory = folder_.string()}); }

private:
  fs::path folder_;
};

inline bool is_one_line(const std::string& text)
{
  return text.find('\n') == text.size() - 1 && !text.empty();
}

// One line that begins "podsim: " and has all the words.
inline void check_error(const Outcome& outcome, int code, const Words& words)
{
  INFO("stderr: " << outcome.err.substr(0, 2000));
  CHECK(outcome.code == code);
  CHECK(outcome.err.starts_with("podsim: "));
  CHECK(is_one_line(outcome.err));
  CHECK(outcome.err.size() < 1000);
  for (const std::string& word : words)
    CHECK_THAT(outcome.err, Catch::Contains(word));
}

// As many lines as there are texts, each beginning "podsim: " and containing its own.
inline void check_errors(const Outcome& outcome, const Words& texts, int code = bad_input)
{
  INFO("stderr: " << outcome.err.substr(0, 4000));
  CHECK(outcome.code == code);
  std::istringstream lines(outcome.err);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    CHECK(line.starts_with("podsim: "));
    if (count < texts.size())
      CHECK_THAT(line, Catch::Contains(texts[count]));
  }
  CHECK(count == texts.size());
}

// What a command that ended well has printed as JSON.
inline nlohmann::json result_of(const Outcome& outcome)
{
  INFO(outcome.err);
  REQUIRE(outcome.code == done);
  return nlohmann::json::parse(outcome.out);
}

} // namespace podsim::test
