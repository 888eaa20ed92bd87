#include "tests/support/studies.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace podsim;
using namespace podsim::test;

TEST_CASE("merge: shards joined are an undisturbed run; mixtures are refused")
{
  const Sandbox box;
  box.write("study.json", many_links(20));
  const Outcome whole = box.call({"sweep", "study.json"});
  for (const char* shard : {"1/3", "2/3", "3/3"})
    CHECK(box.call({"sweep", "study.json", "--shard", shard, "--quiet"}).code == done);
  CHECK(stored(box.path("study.2-of-3.sqlite")) == 7); // numbers 1, 4, ... 19
  const Outcome part = box.call({"results", "study.1-of-3.sqlite"});
  CHECK_THAT(part.out, Catch::Contains("13 more in other shards"));
  const std::string a  = "study.1-of-3.sqlite";
  const std::string b  = "study.2-of-3.sqlite";
  const std::string c  = "study.3-of-3.sqlite";
  const Outcome merged = box.call({"merge", a, b, c, "--db", "merged.sqlite"});
  INFO(merged.err);
  CHECK(merged.code == done);
  CHECK(box.call({"results", "merged.sqlite"}).out == whole.out);
  check_none_twice(box.path("merged.sqlite"));

  check_error(box.call({"merge", a, c, "--db", "part.sqlite"}), cannot_run, {"7 of 20", "missing: shard 2 of 3"});
  CHECK(box.call({"sweep", "study.json", "--db", "part.sqlite"}).out == whole.out);
  check_none_twice(box.path("part.sqlite"));

  check_error(box.call({"merge", a, b, "--db", a}), bad_input, {"is one of the shards"});
  box.write("other.json", many_links(19));
  box.call({"sweep", "other.json", "--shard", "2/3", "--quiet"});
  check_error(box.call({"merge", a, "other.2-of-3.sqlite", "--db", "x.sqlite"}), bad_input, {"not as it was"});
  box.call({"sweep", "study.json", "--shard", "2/4", "--quiet"});
  check_error(box.call({"merge", a, "study.2-of-4.sqlite", "--db", "x.sqlite"}), bad_input, {"shard 2 of 4"});
  doctor(box.path(b), "UPDATE study SET podsim_version = '0.0.1'");
  check_error(box.call({"merge", a, b, "--db", "x.sqlite"}), bad_input, {"podsim 0.0.1", "one version"});
  CHECK_FALSE(fs::exists(box.path("x.sqlite")));
}
