// What a reader says of a scenario: of its keys, the types of its values and its quantities.

#include "tests/support/palm.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("bad input: keys unknown, misspelt and missing, at every level")
{
  check_wrong(
      {{{{"modle", 1}}, {"s.json: unknown key \"modle\"", "did you mean \"model\"?"}},
       {{{"zzzzzzzz", 1}}, {"s.json: unknown key \"zzzzzzzz\""}},
       {{{"a\nb", 1}}, {"a\\x0ab"}},
       {{{"model", nullptr}, {"modle", "palm-8b"}}, {"s.json: unknown key \"modle\"", "did you mean \"model\"?"}},
       {{{"mesh", nullptr}}, {"s.json: the key \"mesh\" is missing"}},
       {{{"name", nullptr}}, {"s.json: the key \"name\" is missing"}},
       {{{"schema_version", nullptr}}, {"the key \"schema_version\" is missing"}},
       {{{"workload", {{"bach", 1}}}}, {"s.json: workload: unknown key \"bach\"", "did you mean \"batch\"?"}},
       {{{"workload", {{"batch", nullptr}, {"bach", 1}}}},
        {"s.json: workload: unknown key \"bach\"", "did you mean \"batch\"?"}},
       {{{"workload", {{"remat", nullptr}}}}, {"s.json: workload: the key \"remat\" is missing"}},
       {{{"machine", {{"slise", "4x4x4"}}}}, {"s.json: machine: unknown key \"slise\"", "did you mean \"slice\"?"}},
       {{{"machine", {{"slice", nullptr}}}}, {"machine: the key \"slice\" is missing"}},
       {{{"mesh", {{"data", {{"sise", 1}}}}}}, {"s.json: mesh.data: unknown key \"sise\"", "did you mean \"size\"?"}},
       {{{"mesh", {{"data", {{"on", nullptr}}}}}}, {"s.json: mesh.data: the key \"on\" is missing"}}},
      palm());

  json figure      = palm()["published"][0];
  figure["metrik"] = figure["metric"];
  figure.erase("metric");
  check_wrong(
      {{{{"published", {figure}}}, {"s.json: published[0]: unknown key \"metrik\"", "did you mean \"metric\"?"}}},
      palm());

  // Each key of a scenario written out in full, misspelt. Some are free to be named otherwise.
  const Sandbox sandbox;
  const json full = palm_in_full();
  for (const json::json_pointer& place : places(full)) {
    const std::string key = place.back();
    const bool optional   = key == "note" || place.parent_pointer().to_string() == "/mesh";
    if (optional || full.at(place.parent_pointer()).is_array() || is_one_of_many(full, place))
      continue;
    json spoilt       = full;
    json& holder      = spoilt[place.parent_pointer()];
    holder[key + "x"] = holder[key];
    holder.erase(key);
    sandbox.write("s.json", spoilt);
    INFO(place.to_string());
    check_error(sandbox.call({"show", "s.json"}), bad_input, {"s.json: ", "\"" + key});
  }
}

TEST_CASE("bad input: values of the wrong type")
{
  check_wrong(
      {{{{"schema_version", 2}}, {"s.json: schema_version: expected 1, found 2"}},
       {{{"schema_version", "1"}}, {"schema_version: expected 1, found \"1\""}},
       {{{"name", 1}}, {"s.json: name: expected a text, found 1"}},
       {{{"model", 1}}, {"s.json: model: expected an object, found 1"}},
       {{{"model", json::array()}}, {"s.json: model: expected an object, found a list"}},
       {{{"workload", "big"}}, {"s.json: workload: expected an object, found \"big\""}},
       {{{"workload", {{"batch", "2048"}}}}, {"s.json: workload.batch: expected a whole number", "found \"2048\""}},
       {{{"workload", {{"batch", 2048.5}}}}, {"workload.batch: expected a whole number", "found 2048.5"}},
       {{{"workload", {{"batch", true}}}}, {"workload.batch: expected a whole number", "found true"}},
       {{{"workload", {{"optimizer", 1}}}}, {"s.json: workload.optimizer: expected one of adamw, ", "found 1"}},
       {{{"mesh", json::array()}}, {"s.json: mesh: expected an object, found a list"}},
       {{{"mesh", {{"data", 256}}}}, {"s.json: mesh.data: expected an object, found 256"}},
       {{{"mesh", {{"data", {{"on", 1}}}}}}, {"s.json: mesh.data.on: expected an object, found 1"}},
       {{{"mesh", {{"data", {{"on", {"y", 7}}}}}}}, {"s.json: mesh.data.on[1]: expected an object, found 7"}},
       {{{"machine", {{"slice", 3072}}}}, {"s.json: machine.slice: expected a slice shape of 3 sizes", "found 3072"}},
       {{{"machine", {{"base", 4}}}}, {"s.json: machine.base: expected the name of a machine, found 4"}},
       {{{"sharding", {{"base", "fsdp"}, {"weights", 3}}}}, {"s.json: sharding.weights: expected an object, found 3"}},
       {{{"software", {{"base", "xla-tpu-2021"}, {"asynchronous", "all"}}}},
        {"s.json: software.asynchronous: expected a list"}},
       {{{"software", {{"base", "xla-tpu-2021"}, {"asynchronous", {"weight gather"}}}}},
        {"s.json: software.asynchronous[0]", "did you mean \"weight gathers\"?"}},
       {{{"published", "none"}}, {"s.json: published: expected a list, found \"none\""}},
       {{{"published", {7}}}, {"s.json: published[0]: expected an object, found 7"}},
       {{{"base", 7}}, {"s.json: base: expected the name or the path of a scenario, found 7"}}},
      palm());

  const json figure   = palm()["published"][0];
  const auto replaced = [&](const json& patch) {
    json changed = figure;
    changed.merge_patch(patch);
    return json{{"published", {changed}}};
  };
  check_wrong({{replaced({{"metric", "mfuu"}}), {"s.json: published[0].metric", "did you mean \"mfu\"?"}},
               {replaced({{"unit", "s"}}), {"s.json: published[0].unit: expected one of %, found \"s\""}},
               {replaced({{"value", "46.2"}}), {"s.json: published[0].value: expected a number"}},
               {replaced({{"value", -46.2}}), {"s.json: published[0].value: expected a positive number", "-46.2"}},
               {replaced({{"value", 1e300}}), {"published[0].value: expected a positive number below 1e30", "1e+300"}},
               {replaced({{"calibration", "no"}}), {"s.json: published[0].calibration: expected true or false"}},
               {replaced({{"statistic", "mean"}}), {"s.json: published[0].statistic: expected one of best, median"}}},
              palm());

  // Each value of a scenario written out in full, of another type. Notes may be anything.
  const Sandbox sandbox;
  const json full = palm_in_full();
  for (const json::json_pointer& place : places(full)) {
    const std::string text = place.to_string();
    if (text.find("/note") != std::string::npos || is_one_of_many(full, place))
      continue;
    json spoilt   = full;
    spoilt[place] = full[place].is_number() ? json("7") : full[place].is_boolean() ? json(7) : json(true);
    sandbox.write("s.json", spoilt);
    INFO(text);
    std::string last = place.back();
    if (last.find_first_not_of("0123456789") == std::string::npos)
      last = "[" + last + "]"; // as messages write the index of a list
    check_error(sandbox.call({"show", "s.json"}), bad_input, {"s.json: ", last, "expected", "found"});
  }
}

TEST_CASE("bad input: quantities")
{
  const Sandbox sandbox;
  const auto rate = [&](const json& value) {
    json scenario                                = palm();
    scenario["machine"]["ici"]["link_bandwidth"] = value;
    sandbox.write("s.json", scenario);
    return sandbox.call({"show", "s.json"});
  };
  const std::string place = "s.json: machine.ici.link_bandwidth: ";
  check_error(rate(45), bad_input,
              {place + "expected a number with its unit, like \"45 GB/s\" or \"45 Gb/s\", found 45"});
  check_error(rate("45"), bad_input, {place + "found \"45\"", "without a unit", "\"45 GB/s\""});
  check_error(rate(""), bad_input, {place + "found \"\"", "\"45 GB/s\""});
  check_error(rate("fast"), bad_input, {place + "found \"fast\"", "not a number with a unit"});
  check_error(rate("45 parsec"), bad_input, {place, "unknown unit \"parsec\"", "\"45 GB/s\""});
  check_error(rate("45 gb/s"), bad_input, {place, "unknown unit \"gb/s\""});
  check_error(rate("45 GB"), bad_input, {place, "unknown unit \"GB\""});
  check_error(rate("45 us"), bad_input, {place, "unknown unit \"us\""});
  check_error(rate("45 GB/s\n"), bad_input, {place, "unknown unit \"GB/s\\x0a\""});
  check_error(rate("45 " + std::string(5000, 'G') + "/s"), bad_input, {place, "unknown unit"});
  for (const char* absurd : {"0 GB/s", "-45 GB/s", "1e300 GB/s", "1e-300 GB/s", "1e30 GB/s", "0.001 B/s"})
    check_error(rate(absurd), bad_input, {place + "expected a quantity from 1 kB/s to 1 EB/s, found \"" + absurd});
  for (const char* overflow : {"1e999 GB/s", "nan GB/s", "inf GB/s", "-inf GB/s"})
    CHECK(rate(overflow).code == bad_input);
  check_error(rate(true), bad_input, {place + "expected a quantity, like \"45 GB/s\", found true"});
  check_error(rate(json{{"value", "45"}, {"source", "measured"}}), bad_input,
              {"s.json: machine.ici.link_bandwidth.value: found \"45\""});
  check_error(rate(json{{"valeu", "45 GB/s"}}), bad_input,
              {"s.json: machine.ici.link_bandwidth: unknown key \"valeu\"; did you mean \"value\"?"});
  CHECK(rate("45 GB/s").code == done);

  check_wrong(
      {{{{"workload", {{"batch", 0}}}}, {"s.json: workload.batch: expected a whole number from 1", "found 0"}},
       {{{"workload", {{"batch", -2048}}}}, {"workload.batch", "found -2048"}},
       {{{"workload", {{"batch", 1e300}}}}, {"workload.batch: expected a whole number", "found 1e+300"}},
       {{{"workload", {{"batch", 18446744073709551615U}}}}, {"workload.batch", "found 18446744073709551615"}},
       {{{"workload", {{"sequence", 1e-300}}}}, {"workload.sequence: expected a whole number", "1e-300"}},
       {{{"machine", {{"pods", 0}}}}, {"s.json: machine.pods: expected a whole number", "found 0"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"matrix_efficiency", 0}}}}}},
        {"s.json: machine.chip.matrix_efficiency: expected a fraction", "found 0"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"matrix_efficiency", 1e-300}}}}}},
        {"matrix_efficiency: expected a fraction"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"matrix_efficiency", 95}}}}}},
        {"matrix_efficiency: expected a fraction", "found 95"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"hbm_capacity", "0 GiB"}}}}}},
        {"machine.chip.hbm_capacity: expected a quantity"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"dispatch", "1e300 s"}}}}}},
        {"machine.chip.dispatch: expected a quantity"}},
       {{{"machine", {{"chip", {{"base", "tpu-v4"}, {"matrix_tile", {8, 128}}}}}}},
        {"machine.chip.matrix_tile: expected a list of three"}},
       {{{"model", {{"base", "palm-540b"}, {"layers", 0}}}},
        {"s.json: model.layers: expected a whole number", "found 0"}},
       {{{"model", {{"base", "palm-540b"}, {"layers", -118}}}}, {"s.json: model.layers", "found -118"}},
       {{{"model", {{"base", "palm-540b"}, {"layers", 1'000'000'000}}}}, {"s.json: model.layers", "found 1000000000"}}},
      palm());

  sandbox.write("s.json", std::string("{\"schema_version\": 1e999}"));
  check_error(sandbox.call({"show", "s.json"}), bad_input, {"s.json: ", "1e999"});
}
