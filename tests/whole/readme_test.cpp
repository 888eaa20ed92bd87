// What the README shows is what podsim prints.

#include "tests/support/sandbox.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sstream>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("sweep: the studies that come with podsim print what the README shows")
{
  const Sandbox box;
  const std::string readme = read_text(source + "/README.md");
  const std::vector<std::pair<std::string, Words>> studies{
      {"palm-pods-and-batch", {"--sort", "days", "--pareto", "days,cost"}},
      {"palm-meshes", {}},
      {"palm-ici-bandwidth", {}},
      {"palm-62b-on-a100", {}}};
  for (const auto& [name, options] : studies) {
    Words words{"sweep", fmt::format("{}/scenarios/studies/{}.json", source, name)};
    words.insert(words.end(), options.begin(), options.end());
    const Outcome out = box.call(words);
    INFO(name << out.err);
    CHECK(out.code == done);
    std::istringstream lines(out.out.substr(out.out.find("\n\n") + 2)); // below its name and question
    int rows = 0;
    for (std::string line; std::getline(lines, line); ++rows)
      CHECK_THAT(readme, Catch::Contains(line.empty() ? "" : "\n    " + line + "\n"));
    CHECK(rows > 10);
  }
}
