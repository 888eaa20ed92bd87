#include "sim/jobs/child.hpp"

#include "sim/core/errors.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <stdexcept>
#include <unistd.h>

using namespace podsim;

TEST_CASE("a child hands over its bytes, however many, and what it changes is its own")
{
  int mine               = 1;
  const std::string many = in_child([&] {
    mine = 2;
    return std::string(1'000'000, 'x');
  });
  CHECK(many == std::string(1'000'000, 'x'));
  CHECK(mine == 1);
  CHECK(in_child([] { return std::string(); }).empty());
}

TEST_CASE("a child that throws, whatever it is, or is killed has failed and takes nothing with it")
{
  CHECK_THROWS_AS(in_child([]() -> std::string { throw std::runtime_error("a test's"); }), std::logic_error);
  CHECK_THROWS_AS(in_child([]() -> std::string { throw 7; }), std::logic_error);
  CHECK_THROWS_AS(in_child([]() -> std::string {
                    raise(SIGKILL);
                    return "never";
                  }),
                  std::logic_error);
}

TEST_CASE("a SIGTERM to the parent alone ends the child, and is told")
{
  for (const int signal : {SIGTERM, SIGINT})
    CHECK_THROWS_AS(in_child([signal]() -> std::string {
                      kill(getppid(), signal);
                      sleep(60);
                      return "never";
                    }),
                    Interrupted);
}
