// How a scenario, its base, the files that it names and the changes of the command line become one.

#include "tests/support/first_scenario.hpp"
#include "tests/support/palm.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("bad input: bases and files that refer to each other")
{
  const Sandbox sandbox;
  const auto show = [&](const std::string& file) { return sandbox.call({"show", file}); };
  SECTION("cycles")
  {
    sandbox.write("self.json", {{"base", "self.json"}});
    check_error(show("self.json"), bad_input, {"self.json: base: leads back to this file"});
    sandbox.write("a.json", {{"base", "deep/b.json"}});
    sandbox.write("deep/b.json", {{"base", "../a.json"}});
    check_error(show("a.json"), bad_input, {"a.json: base: leads back to this file"});
    check_error(show("deep/b.json"), bad_input, {"b.json: base: leads back to this file"});
  }
  SECTION("missing")
  {
    sandbox.write("scenario.json", palm());
    sandbox.write("over.json", {{"base", "scenari.json"}});
    check_error(show("over.json"), bad_input,
                {"over.json: base: scenari.json: there is no such file", "did you mean \"scenario.json\"?"});
    sandbox.write("over.json", {{"base", "."}});
    check_error(show("over.json"), bad_input, {"is a folder"});
    check_error(show("scenaro.json"), bad_input,
                {"scenaro.json: there is no such file", "did you mean \"scenario.json\"?"});
    check_error(show("no/where/at-all.json"), bad_input, {"no/where/at-all.json: there is no such file"});
    check_error(show("line\nbreak.json"), bad_input, {"line\\x0abreak.json: there is no such file"});
    sandbox.write("model.json", std::string("{"));
    sandbox.write("over.json", {{"base", "scenario.json"}, {"model", "model.json"}});
    check_error(show("over.json"), bad_input, {"model.json: parse error at line 1"});
    sandbox.write("model.json", std::string("[]"));
    check_error(show("over.json"), bad_input, {"model.json: expected an object, found array"});
    sandbox.write("model.json", {{"schema_version", 3}});
    check_error(show("over.json"), bad_input, {"model.json: schema_version: expected 1, found 3"});
    sandbox.write("model.json", {{"base", "palm-540b"}});
    CHECK(show("over.json").code == done);
    sandbox.write("model.json", {{"base", "model.json"}});
    check_error(show("over.json"), bad_input, {"model.json: model.base: its bases lead back to it"});
  }
  SECTION("a value is named by the file it stands in, and a reference is followed from there")
  {
    json own = json::parse(read_text(source + "/models/palm-540b.json"));
    json far = palm({{"model", "parts/model.json"}});
    sandbox.write("far/parts/model.json", own);
    sandbox.write("far/scenario.json", far);
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}, {"machine", {{"pods", 2}}}});
    sandbox.write("top.json", {{"base", "near/middle.json"}});
    CHECK(show("top.json").code == done);
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}, {"machine", {{"pods", 0}}}});
    check_error(show("top.json"), bad_input, {"podsim: near/middle.json: machine.pods: "});
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}, {"wrkload", {{"batch", 1}}}});
    check_error(show("top.json"), bad_input,
                {"podsim: near/middle.json: unknown key \"wrkload\"", "did you mean \"workload\"?"});
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}, {"softwar", nullptr}});
    check_error(show("top.json"), bad_input,
                {"podsim: near/middle.json: softwar: null removes", "did you mean \"software\"?"});
    sandbox.write("near/middle.json", {{"base", "../far/scenario.json"}});
    far["workload"]["batch"] = 0;
    sandbox.write("far/scenario.json", far);
    check_error(show("top.json"), bad_input, {"podsim: far/scenario.json: workload.batch: "});
    far["workload"]["batch"] = 2048;
    sandbox.write("far/scenario.json", far);
    own["layers"] = 0;
    sandbox.write("far/parts/model.json", own);
    check_error(show("top.json"), bad_input, {"far/parts/model.json: model.layers: "});
    check_error(sandbox.call({"show", "top.json", "--set", "model.layers=-1"}), bad_input,
                {"--set model.layers=-1: model.layers: "});
    own["layers"] = 118;
    sandbox.write("far/parts/model.json", own);
    CHECK(sandbox.call({"show", palm_file, "--set", "model=far/parts/model.json"}).code == done);
  }
  SECTION("a value laid over one of the catalogue does not keep its source")
  {
    json scenario                                  = palm();
    scenario["machine"]["dcn"]["latency"]["value"] = "90 us";
    sandbox.write("s.json", scenario);
    const json result = json::parse(sandbox.call({"run", "s.json", "--json", "-"}).out);
    for (const json& constant : result["provenance"]["constants"])
      if (constant["path"] == "machine.dcn.latency") {
        CHECK(constant["value"] == "90 us");
        CHECK(constant["source"] == "given by s.json");
      }
  }
}

TEST_CASE("bad input: --set")
{
  const auto set = [](const std::string& change) { return call({"show", palm_file, "--set", change}); };
  check_error(set("workload.batch"), bad_input, {"--set", "PATH=VALUE", "workload.batch"});
  check_error(set("=3"), bad_input, {"--set", "PATH=VALUE"});
  check_error(set("workload.bach=1024"), bad_input, {"--set workload.bach=1024", "did you mean \"batch\"?"});
  check_error(set("worklaod.batch=1024"), bad_input, {"--set", "worklaod", "did you mean \"workload\"?"});
  check_error(set("machine.chp.dispatch=1 us"), bad_input, {"--set", "machine.chp", "did you mean \"chip\"?"});
  check_error(set("machine.chip.dispach=1 us"), bad_input, {"--set", "did you mean \"dispatch\"?"});
  check_error(set("workload.batch.size=3"), bad_input, {"--set", "\"workload.batch\" is not an object"});
  check_error(set("workload.batch=many"), bad_input, {"--set workload.batch=many", "a whole number", "\"many\""});
  check_error(set("workload.batch="), bad_input, {"a whole number", "\"\""});
  check_error(set("workload.batch=0"), bad_input,
              {"--set workload.batch=0: workload.batch", "a whole number", "found 0"});
  check_error(set("workload.batch=[1,2]"), bad_input, {"a whole number", "found a list"});
  check_error(set("workload.batch=1e999"), bad_input, {"a whole number"});
  check_error(set("workload.batch=null"), bad_input, {"\"batch\" is missing"});
  check_error(set("workload.bach=null"), bad_input, {"--set", "null", "did you mean \"batch\"?"});
  check_error(set("model=palm-540"), bad_input, {"--set model=palm-540", "did you mean \"palm-540b\"?"});
  check_error(set("model=none.json"), bad_input, {"--set model=none.json", "no file \"none.json\""});
  check_error(set("machine.chip.hbm_bandwidth=1200"), bad_input,
              {"machine.chip.hbm_bandwidth", "with its unit", "1200"});
  check_error(set("machine.pods=4096"), bad_input, {"mesh", "6144", "12582912"});
  check_error(set("note={\"a\":1,\"a\":2}"), bad_input, {"--set note", "\"a\" stands twice"});
  check_error(set("note=" + std::string(50'000, '[') + std::string(50'000, ']')), bad_input,
              {"--set note", "nested deeper"});
}

TEST_CASE("set: a base lies under what the file wrote, whatever else is set, in any order")
{
  const auto palm = [](const Words& changes) {
    Words arguments{"show", palm_file};
    for (const std::string& change : changes)
      arguments.insert(arguments.end(), {"--set", change});
    const Outcome outcome = call(arguments);
    CHECK(outcome.code == done);
    return outcome.out;
  };
  const std::string v5p = palm({"machine.base=tpu-v5p"});
  CHECK_THAT(v5p, Catch::Contains("6144 TPU v5p chips, 2 pods of 12x16x16"));
  const std::string hbm = "machine.chip.hbm_bandwidth=2 TB/s";
  for (const Words& changes : {Words{"machine.base=tpu-v5p", hbm}, Words{hbm, "machine.base=tpu-v5p"}}) {
    const std::string both = palm(changes);
    CHECK_THAT(both, Catch::Contains("6144 TPU v5p chips") && Catch::Contains("2 TB/s"));
  }
  CHECK_THAT(palm({"machine.chip.base=tpu-v5p"}), Catch::Contains("6144 TPU v5p chips, 2 pods of 12x16x16"));
  CHECK_THAT(palm({"workload.remat.base=full"}), Catch::Contains("remat full"));
  CHECK_THAT(palm({"software.base=xla-tpu-2023"}), Catch::Contains("XLA for TPU, 2023"));
  CHECK_THAT(palm({"machine.chip.matrix_efficiency=.8"}), Catch::Contains("0.8"));
  CHECK_THAT(show(first_scenario(), {"model.base=llama2-13b"}).out, Catch::Contains("Llama 2 13B"));
}

TEST_CASE("set: as a study, it may write keys that the file has not")
{
  CHECK(show(first_scenario(), {"mesh.spare={\"size\":1,\"on\":[]}"}).code == done);
  CHECK(show(first_scenario(), {"mesh.spare.size=1", "mesh.spare.on=[]"}).code == done);
  CHECK(show(first_scenario(), {"faults.hosts=[{\"at\": {\"node\": 0, \"nvlink\": 0}, \"nic\": 0.5}]"}).code == done);
  CHECK(show(first_scenario(), {"machine.chip.power=null"}).code == done);
  check_errors(show(first_scenario(), {"mesh.spare.size=1"}), {"mesh.spare: the key \"on\" is missing"});
  check_errors(show(first_scenario(), {"base=palm-540b.json"}), {"a scenario's base is written in its file"});
}
