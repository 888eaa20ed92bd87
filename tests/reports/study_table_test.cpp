#include "reports/study_table.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

using namespace podsim;

TEST_CASE("study table: sorted best first, cut, and the front marked")
{
  const auto table = [] {
    StudyTable made;
    made.axes      = {"n"};
    made.metrics   = {"days", "cost", "mfu"};
    const auto row = [&](double days, double cost, double mfu) {
      StudyRow& one = made.rows.emplace_back();
      one.number    = made.rows.size() - 1;
      one.settings  = {std::to_string(one.number)};
      one.status    = Status::ok;
      one.figures   = {{"days", days}, {"cost", cost}, {"mfu", mfu}};
    };
    row(10, 100, .5);
    row(20, 50, .4);
    row(20, 60, .6); // beaten by the one before in days and cost
    row(5, 200, .3);
    made.rows.emplace_back(StudyRow{4, {"4"}, Status::memory, "too large", {}});
    row(10, 100, .45); // as good as the first: both are on the front
    return made;
  };
  const auto numbers = [](const StudyTable& made) {
    std::vector<std::size_t> all;
    for (const StudyRow& row : made.rows)
      all.push_back(row.number);
    return all;
  };
  StudyTable made = table();
  arrange(made, {.sort = "cost", .pareto = {"days", "cost"}});
  CHECK(numbers(made) == std::vector<std::size_t>{1, 2, 0, 5, 3, 4});
  std::vector<std::size_t> front;
  for (const StudyRow& row : made.rows)
    if (row.on_front)
      front.push_back(row.number);
  CHECK(front == std::vector<std::size_t>{1, 0, 5, 3});
  made = table();
  arrange(made, {.sort = "mfu", .top = 2});
  CHECK(numbers(made) == std::vector<std::size_t>{2, 0, 4}); // what could not run is not counted as a row
  CHECK(made.counts == std::vector<std::pair<Status, std::size_t>>{{Status::ok, 5}, {Status::memory, 1}});
  made = table();
  CHECK_THROWS_WITH(arrange(made, {.sort = "dys"}), Catch::Contains("did you mean \"days\""));
}
