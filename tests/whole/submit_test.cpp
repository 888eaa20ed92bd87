// scenarios/studies/slurm/submit.sh against programs that stand in for Slurm's; slurm_test.sh has a real one.

#include "tests/support/sandbox.hpp"

using namespace podsim;
using namespace podsim::test;

namespace {

// What sbatch is called with goes to calls.txt; scontrol says what a real one says.
Outcome submit(const Sandbox& box, const Words& words, const std::string& config)
{
  const auto program = [&](const std::string& name, const std::string& body) {
    box.write("bin/" + name, "#!/bin/sh\n" + body);
    fs::permissions(box.path("bin/" + name), fs::perms::owner_all);
  };
  program("sbatch", "echo \"$@\" >>\"" + box.path("calls.txt") + "\"\ncat >/dev/null\necho 7\n");
  program("scontrol", "cat <<'END'\n" + config + "END\n");
  Words arguments{source + "/scenarios/studies/slurm/submit.sh"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  return run_program("sh", arguments,
                     {.environment = {{"PATH", box.path("bin") + ":/usr/bin:/bin"}, {"PODSIM", PODSIM_PROGRAM}},
                      .directory   = box.path("")});
}

const std::string usual = "MaxArraySize            = 1001\nMaxDBDMsgs              = 20008\n";

} // namespace

TEST_CASE("submit.sh: more shards than an array may have are told before, with the limit")
{
  const Sandbox box;
  const Outcome wrong = submit(box, {"palm-meshes", "1001", "out"}, usual);
  CHECK(wrong.code == bad_input);
  CHECK(is_one_line(wrong.err));
  CHECK_THAT(wrong.err,
             Catch::Contains("1001 shards are more than") && Catch::Contains("1000 (its MaxArraySize is 1001)"));
  CHECK_FALSE(fs::exists(box.path("calls.txt")));
  CHECK(submit(box, {"palm-meshes", "1000", "out"}, usual).code == done);
  CHECK_THAT(read_text(box.path("calls.txt")), Catch::Contains("--array=1-1000"));
  CHECK(submit(box, {"palm-meshes", "5000", "out"}, "MaxArraySize = 10001\n").code == done);
  CHECK(submit(box, {"palm-meshes", "5000", "out"}, "").code == done); // a scontrol that says nothing
  for (const char* shards : {"", "0", "many", "-3", "1.5"})
    CHECK(submit(box, {"palm-meshes", shards, "out"}, usual).code == bad_input);
}
