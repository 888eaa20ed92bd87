#include "tests/support/palm.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using nlohmann::json;
using namespace podsim;
using namespace podsim::test;

TEST_CASE("bad input: meshes and slices")
{
  const auto axis = [](const char* name, std::int64_t size, const json& on) {
    return json{{"mesh", {{name, {{"size", size}, {"on", on}}}}}};
  };
  const auto slice = [](const json& shape) { return json{{"machine", {{"slice", shape}}}}; };
  const auto part  = [](const char* name, int length, int stride) {
    return json{{"axis", name}, {"length", length}, {"stride", stride}};
  };
  check_wrong(
      {{axis("model", 6, "x"), {"s.json: mesh: ", "multiply to 3072", "6144 chips"}},
       {axis("model", 24, "x"), {"mesh: ", "multiply to 12288", "6144 chips"}, cannot_run},
       {axis("data", 256, {"x", "y"}),
        {"s.json: mesh.data: an axis of 256 does not fit on x, y, which has 192"},
        cannot_run},
       {axis("data", 256, "z"), {"mesh.data: an axis of 256 does not fit on z, which has 16"}, cannot_run},
       {axis("model", 12, "dcn"), {"mesh.model: an axis of 12 does not fit on DCN, which has 2"}, cannot_run},
       {axis("data", 256, {"y", "q"}), {"s.json: mesh.data.on[1]: expected one of x, y, z, dcn, found \"q\""}},
       {axis("data", 256, "dnc"), {"s.json: mesh.data.on: expected one of x, y, z"}},
       {axis("data", 256, {"y", "y"}),
        {"s.json: mesh: the machine's axis y is 16 long, but mesh axes on it multiply to 256"}},
       {axis("data", 256, {"y", part("z", 32, 1)}),
        {"s.json: mesh.data.on[1].length: expected a whole number from 1 to 16"}},
       {axis("data", 256, {"y", part("z", 3, 1)}), {"s.json: mesh.data.on[1]: length 3 with stride 1 does not divide"}},
       {axis("data", 256, {"y", part("z", 2, 2)}), {"s.json: mesh.data.on[1]: a stride needs a ring"}},
       {axis("data", 256, {"y", part("z", 4, 1), part("z", 4, 1)}), {"s.json: mesh: the parts of the axis z overlap"}},
       {axis("data", 0, {"y", "z"}), {"s.json: mesh.data.size: expected a whole number", "found 0"}},
       {slice("3x5x7"), {"s.json: machine.slice: 3x5x7 cannot be formed", "a multiple of 4, or all at most 4"}},
       {slice("12x16x15"), {"machine.slice: 12x16x15 cannot be formed"}},
       {slice("64x64x64"), {"s.json: machine.slice: 64x64x64 is 262144 chips; a pod has 4096"}},
       {slice("axbxc"),
        {"s.json: machine.slice: expected a slice shape of 3 sizes up to 10000, like \"12x16x16\", found \"axbxc\""}},
       {slice("12x16"), {"machine.slice: expected a slice shape of 3 sizes", "found \"12x16\""}},
       {slice("12x16x16x4"), {"machine.slice: expected a slice shape", "found \"12x16x16x4\""}},
       {slice("12x16x16x"), {"machine.slice: expected a slice shape", "found \"12x16x16x\""}},
       {slice("12x16x16x0"), {"machine.slice: expected a slice shape"}},
       {slice("12x16x16 "), {"machine.slice: expected a slice shape"}},
       {slice("12X16X16"), {"machine.slice: expected a slice shape"}},
       {slice("0x16x16"), {"machine.slice: expected a slice shape"}},
       {slice("-4x16x16"), {"machine.slice: expected a slice shape"}},
       {slice("99999999999999999999x4x4"), {"machine.slice: expected a slice shape"}},
       {slice(""), {"machine.slice: expected a slice shape", "found \"\""}},
       {{{"machine", {{"pods", 100'000}}}}, {"s.json: machine.pods: expected a whole number from 1 to 65536"}},
       {{{"machine", {{"pods", 4096}, {"slice", "100x100x100"}, {"ici", {{"pod_chips", 1'000'000}}}}}},
        {"s.json: machine.pods: 4096 pods of 1000000 are"}}},
      palm());

  json many = palm();
  for (int i = 0; i < 40; ++i)
    many["mesh"]["axis" + std::to_string(i)] = {{"size", 1}, {"on", json::array()}};
  check_wrong({{json::object(), {"s.json: mesh: more than 16 axes"}}}, many);
}
