#include "sim/engine/recurrence.hpp"

#include <catch2/catch.hpp>

using namespace podsim;

TEST_CASE("a state recurs only with all that shaped what is under way")
{
  const auto boundary = [](double time, std::int64_t number, double oldest) {
    Boundary one;
    one.time   = time;
    one.oldest = oldest;
    one.state.add(number);
    return one;
  };
  const auto event = [](History& history, std::int32_t kind, double now) {
    history.note({kind, 0, 0, 0, 0}, 0, now - 1, now);
  };
  SECTION("the same state, nothing under way")
  {
    History history;
    CHECK_FALSE(history.add(boundary(0, 7, 0)));
    CHECK_FALSE(history.add(boundary(10, 8, 10)));
    const auto then = history.add(boundary(20, 7, 20));
    REQUIRE(then);
    CHECK(then->time == 0);
  }
  SECTION("an activity that began in the period before: the periods must have been alike")
  {
    for (const bool alike : {true, false}) {
      History history;
      history.add(boundary(0, 7, 0));
      event(history, 1, 5);
      history.add(boundary(10, 7, 5));
      event(history, 1, alike ? 15 : 16);
      CHECK(history.add(boundary(20, 7, 15)).has_value() == alike);
    }
  }
  SECTION("times off the grid")
  {
    History history;
    history.add(boundary(0, 7, 0));
    event(history, 1, 5.5);
    CHECK_FALSE(history.add(boundary(10, 7, 10)));
  }
}
