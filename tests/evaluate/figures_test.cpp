// The table of figures: that each row is whole, and that those who list figures elsewhere list the table's.

#include "sim/evaluate/figures.hpp"
#include "sim/metrics/gate.hpp"
#include "sim/studies/sweep.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

using nlohmann::json;
using namespace podsim;

namespace {

// 64 chips, 2 s, a million tokens of 8000 model FLOPs; no number stands twice where one could be taken for another.
Evaluation made_up()
{
  Evaluation run;
  Metrics metrics;
  metrics.step_time       = Seconds(2);
  metrics.tokens_per_step = 1e6;
  metrics.tokens_per_s    = 5e5;
  metrics.chips           = 64;
  metrics.peak            = FlopsPerSecond(1e9);
  metrics.model           = {.parameters        = 1100,
                             .active_parameters = 1000,
                             .layers            = 2,
                             .heads             = 3,
                             .head_dim          = 4,
                             .sequence          = 500,
                             .d_model           = 12,
                             .vocab             = 100};
  metrics.flops           = {.weights = 6000, .attention = 2000, .repeated = 1500, .lookup = 300, .executed = 9000};
  metrics.breakdowns      = {{{"matrix_unit", Seconds(1)}, {"exposed_ici_x", Seconds(0.4)}, {"idle", Seconds(0.6)}}};
  metrics.bubble          = 0.35;
  metrics.dcn_burst       = BytesPerSecond(7);
  metrics.layer_forward   = Seconds(0.01);
  metrics.layer_backward  = Seconds(0.02);
  metrics.mfu_without_attention = 0.046875;
  Memory memory;
  memory.parameters      = Bytes(5);
  memory.optimizer_state = Bytes(6);
  run.memory             = memory;
  run.metrics            = metrics;
  run.experts            = ExpertUse{.count = 8, .top_k = 2, .dropped = 0.125};
  run.energy_per_token   = 0.25;
  run.supply             = {.chip = Watts(300), .pue = 1.1, .grid_intensity = GridIntensity(0.5)};
  return run;
}

double value(const char* name, const Evaluation& run)
{
  return value_of(figure(name), run).value();
}

std::set<std::string> as_set(const std::vector<std::string>& names)
{
  return {names.begin(), names.end()};
}

} // namespace

TEST_CASE("each row of the table of figures is whole")
{
  std::set<std::string> names;
  std::set<std::string> json_names;
  for (const Figure& row : figure_table()) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    CHECK(json_names.insert(row.json_name).second);
    CHECK_FALSE(row.label.empty());
    CHECK_FALSE(row.conventions.empty());
    CHECK(&figure(row.name) == &row);
    if (row.in.contains(Listing::published))
      CHECK_FALSE(row.units.front().first.empty());
    if (row.in.contains(Listing::study))
      CHECK(row.better != Direction::neither); // by which it is sorted
    CHECK_FALSE(row.json_name == gated_breakdown);
  }
  CHECK_THROWS_AS(figure("mfuu"), std::logic_error);
  CHECK(find_figure(Listing::study, "mfu") == &figure("mfu"));
  CHECK(find_figure(Listing::study, "parameters") == nullptr);
}

TEST_CASE("each figure is got from an evaluation, but for what follows from a plan")
{
  Evaluation run                  = made_up();
  run.metrics->achieved_flops     = FlopsPerSecond(3);
  run.metrics->achieved_bandwidth = BytesPerSecond(4);
  for (const Figure& row : figure_table()) {
    CAPTURE(row.name);
    CHECK(value_of(row, run).has_value() != row.of_a_plan);
    CHECK_FALSE(value_of(row, Evaluation()).has_value());
  }
  CHECK(value("tokens_per_s_per_chip", run) == 5e5 / 64);
  CHECK(value("sequences_per_s", run) == 1000);
  CHECK(value("sequences_per_s_per_chip", run) == 1000.0 / 64);
  CHECK(value("mfu", run) == 5e5 * 8000 / 64e9);
  CHECK(value("hfu", run) == 5e5 * 9000 / 64e9);
  CHECK(value("tflops_per_chip", run) == 5e5 * 8000 / 64);
  CHECK(value("exposed", run) == Approx(0.2));
  CHECK(value("memory", run) == 11);
  CHECK(value_of(figure("bubble"), run, Counting::slowest_stage) == Approx(0.3));
  CHECK(value_of(figure("mfu"), run, Counting::six_n_causal) == 5e5 * 7000 / 64e9);
  CHECK(json_value(figure("dcn_burst"), run) == 8 * 7.0);

  PublishedFigure published;
  published.metric   = &figure("hfu");
  published.counting = Counting::palm_hardware;
  CHECK(predicted(published, run) == 5e5 * 9500 / 64e9);
}

TEST_CASE("what a run does not have is no figure of it")
{
  Evaluation run         = made_up();
  run.metrics->dcn_burst = BytesPerSecond(0);
  run.energy_per_token   = std::numeric_limits<double>::infinity();
  run.experts.reset();
  for (const char* name : {"dcn_burst", "energy_per_token", "dropped_choices", "achieved_flops"})
    CHECK_FALSE(value_of(figure(name), run));

  run.metrics->tokens_per_step = 0; // a micro-benchmark
  run.metrics->achieved_flops  = FlopsPerSecond(3);
  for (const Figure* row : figures_in(Listing::report)) {
    CAPTURE(row->name);
    CHECK(value_of(*row, run).has_value() == (row->name == "step_time" || row->name == "achieved_flops"));
  }

  run.metrics.reset(); // what does not fit still says what it needs
  for (const Figure& row : figure_table())
    if (row.name != "memory")
      CHECK_FALSE(value_of(row, run));
  CHECK(value("memory", run) == 11);
}

TEST_CASE("tokens/s a chip, by which machines of several sizes are compared, is wherever tokens/s is")
{
  const Listings all   = figure("tokens_per_s").in;
  const Listings those = figure("tokens_per_s_per_chip").in;
  for (const Listing list : {Listing::published, Listing::study, Listing::stored, Listing::json, Listing::gate,
                             Listing::comparison, Listing::report})
    CHECK((all.contains(list) && those.contains(list)));
}

TEST_CASE("the JSON Schema lists the figures of the table, with their units and conventions")
{
  std::ifstream file(PODSIM_SOURCE_DIR "/scenarios/scenario.schema.json");
  const json defs       = json::parse(file).at("$defs");
  const auto enumerated = [](const json& of) { return as_set(of.at("enum").get<std::vector<std::string>>()); };

  const json& published = defs.at("published_figure");
  CHECK(enumerated(published.at("properties").at("metric")) == as_set(figure_names(Listing::published)));
  std::set<std::string> described;
  for (const json& rule : published.at("allOf"))
    for (const std::string& name : enumerated(rule.at("if").at("properties").at("metric"))) {
      CAPTURE(name);
      CHECK(described.insert(name).second);
      std::set<std::string> units;
      for (const auto& [unit, base_units] : figure(name).units)
        units.insert(unit);
      std::set<std::string> conventions;
      for (const auto& [convention, counting] : figure(name).conventions)
        conventions.insert(convention);
      const json& then = rule.at("then");
      CHECK(enumerated(then.at("properties").at("convention")) == conventions);
      CHECK(enumerated(then.at("then").at("properties").at("unit")) == units);
    }
  CHECK(described == as_set(figure_names(Listing::published)));

  const json& sweep = defs.at("sweep_study").at("properties").at("metrics").at("items");
  CHECK(enumerated(sweep) == as_set(figure_names(Listing::study)));
  const json& ratio = defs.at("compare_study").at("properties").at("ratios").at("items").at("properties").at("metric");
  CHECK(enumerated(ratio) == as_set(figure_names(Listing::comparison)));
}
