#pragma once
// All that there is to say of a scenario, as plain data with its provenance; the writers only format it.

#include "sim/core/published.hpp"
#include "sim/core/reader.hpp"
#include "sim/core/status.hpp"
#include "sim/metrics/metrics.hpp"
#include "sim/metrics/validation.hpp"

#include <optional>
#include <string>
#include <vector>

namespace podsim {

constexpr int result_schema_version = 1;

struct SimulationInfo {
  std::int64_t chips = 0, devices = 0, classes = 0, activities = 0;
  std::int64_t repeated_layers = 0, repeated_micro_batches = 0; // of the first class, not simulated
  bool folded = true, chunked = false;
  bool fold_stopped       = false;                  // simulated in full, because the fold in time could not go on
  bool by_recurrence      = false;                  // over pipeline stages, without events
  Granularity granularity = Granularity::automatic; // as asked for
  std::string engine;                               // that simulated it
  std::optional<Seconds> wall;
  std::vector<DeviceClass> class_list;
};

// What a fault costs: the step with it alone.
struct FaultCost {
  std::string name;
  Seconds step_time;
  double mfu;
};

struct FaultReport {
  Seconds healthy_step;
  double healthy_mfu = 0;
  std::vector<FaultCost> each;
  struct {
    std::int64_t devices;
    std::string one; // of them, where it is
  } slowest;         // the class that waits least
  // Where exact classes would be too many, the step is one that takes at least as long, and at most so much longer.
  std::string bound; // in which way, for people; empty if it is exact
  Seconds at_least;
};

// A constant that holds for other chips than the machine has, as its file says.
struct ForeignConstant {
  std::string path, chip; // "A100", or several
};

// Of a model with experts: the share of the choices that find no room, if all are chosen alike.
struct ExpertUse {
  std::int64_t count = 0, top_k = 0;
  double dropped = 0;
};

// The electricity of the machine, as far as its files say: what a plan of energy and emissions needs of it.
struct Supply {
  std::optional<Watts> chip; // with its share of the system
  std::optional<double> pue;
  std::optional<GridIntensity> grid_intensity;
};

// Why there is no result, one line.
struct Refusal {
  Status status;
  std::string complaint;
};

struct Evaluation {
  std::string scenario, hash;
  std::string model, machine, mesh; // one line each, for people
  std::string device = "chip";      // what is simulated, in a word: a "core" where a chip is several devices
  Status status      = Status::ok;  // else why it cannot run
  std::string reason;               // and in which way, one line
  std::optional<Memory> memory;     // of a chip, that of all its devices
  Bytes capacity;
  std::optional<Metrics> metrics;
  SimulationInfo simulation;
  std::optional<FaultReport> faults;
  std::vector<PublishedFigure> published;
  std::optional<ErrorBar> error_bar;      // how far podsim was off where figures were published for such chips
  std::optional<double> energy_per_token; // joules, of all chips
  Supply supply;
  std::vector<UsedConstant> constants;
  std::vector<ForeignConstant> foreign; // of these
  std::optional<ExpertUse> experts;
  std::string chip; // of the machine
  std::vector<std::string> files;

  void refuse(Refusal why);
};

// "chunk", "collective", "auto".
const std::vector<std::pair<std::string, Granularity>>& granularity_names();

// A row of the memory table: the JSON's key, a person's words, bytes.
struct MemoryRow {
  std::string key, label;
  Bytes size;
};
std::vector<MemoryRow> memory_rows(const Memory& memory);

} // namespace podsim
