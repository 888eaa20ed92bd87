// Who may include whom: the folders are layers, and this is what keeps them so; and where the test of a file is found.

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

// Direct neighbours below; what those may include is included with them. All may include sim/core.
const std::map<std::string, std::set<std::string>> below{
    {"sim/core", {}},
    {"sim/program", {}},
    {"models", {"sim/program"}},
    {"sim/sharding", {"sim/program"}},
    {"sim/workloads", {"models", "sim/sharding"}},
    {"topologies", {}},
    {"sim/collectives", {"sim/sharding", "topologies"}},
    {"scenarios", {"sim/workloads", "sim/collectives"}},
    {"sim/engine/clock", {}},
    {"sim/engine", {"sim/collectives", "sim/engine/clock"}},
    {"sim/metrics", {"sim/engine"}},
    {"sim/evaluate", {"sim/metrics", "scenarios"}},
    {"sim/jobs", {"sim/engine"}},
    {"reports", {"sim/evaluate"}},
    {"sim/studies", {"sim/evaluate", "sim/jobs"}},
    {"sim/app", {"reports", "sim/studies"}},
};

std::set<std::string> reachable(const std::string& folder)
{
  std::set<std::string> all{folder, "sim/core"};
  for (const std::string& next : below.at(folder))
    all.merge(reachable(next));
  return all;
}

} // namespace

TEST_CASE("includes follow the layers, and only its module knows SimGrid")
{
  const std::regex quoted("^#include \"([^\"]+)\"");
  for (const auto& [folder, neighbours] : below) {
    const std::set<std::string> allowed = reachable(folder);
    int files                           = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(PODSIM_SOURCE_DIR) / folder)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".hpp")
        continue;
      ++files;
      std::ifstream stream(entry.path());
      for (std::string line; std::getline(stream, line);) {
        CAPTURE(entry.path().string(), line);
        std::smatch match;
        if (std::regex_search(line, match, quoted))
          CHECK(allowed.contains(fs::path(match[1].str()).parent_path().generic_string()));
        if (line.find("<simgrid/") != std::string::npos || line.find("<xbt/") != std::string::npos)
          CHECK(entry.path().filename() == "simgrid_clock.cpp");
      }
    }
    CAPTURE(folder);
    CHECK(files > 0);
  }
}

TEST_CASE("a test lies in the room of the file that it is named after")
{
  const fs::path root(PODSIM_SOURCE_DIR);
  const std::string end = "_test.cpp";
  int tests             = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root / "tests")) {
    const std::string name   = entry.path().filename().string();
    const std::string folder = fs::relative(entry.path().parent_path(), root / "tests").generic_string();
    if (!name.ends_with(end) || folder == "whole" || folder == "random") // of the program, and not of a file
      continue;
    ++tests;
    CAPTURE(folder, name);
    const std::string room = below.contains(folder) ? folder : "sim/" + folder;
    REQUIRE(below.contains(room));
    const std::string file = (root / room / name.substr(0, name.size() - end.size())).string();
    CHECK((fs::exists(file + ".cpp") || fs::exists(file + ".hpp")));
  }
  CHECK(tests > 0);
}
