#pragma once
// A scenario made ready to simulate: its program, and what each device has of it.

#include "scenarios/scenario.hpp"
#include "sim/engine/timed_program.hpp"
#include "sim/engine/trace.hpp"
#include "sim/metrics/memory.hpp"

#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

namespace podsim {

// What follows from the workload, the mesh and the software, whatever the machine.
struct KnownPrograms : Programs {
  Memory memory; // of a device
};

struct Prepared {
  Prepared(Scenario own, std::shared_ptr<const KnownPrograms> programs)
      : scenario(std::move(own)), kept(std::move(programs)), program(kept->program), sharded(kept->sharded)
  {
  }

  Scenario scenario;
  std::shared_ptr<const KnownPrograms> kept;
  const Program& program; // of `kept`
  const ShardedProgram& sharded;
};

// What is known of scenarios that were prepared before: those of a study differ in their machines more often than in
// what they run, and what would make one fit is another of its rows. Of all the memory that they need, of the last the
// programs. For one thread.
class PreparedBefore {
public:
  std::shared_ptr<const KnownPrograms> programs_of(const Scenario& scenario);
  Memory memory_of(const Scenario& scenario); // of a device

private:
  struct Known {
    Training training;
    Mesh mesh;
    Precision precision;
    Compilation compilation;
    Memory memory;
    std::weak_ptr<const KnownPrograms> programs;
  };
  Known& known(const Scenario& scenario);

  std::unordered_map<std::size_t, std::vector<Known>> known_;
  std::size_t count_ = 0;
  std::deque<std::shared_ptr<const KnownPrograms>> last_; // that are kept
};

Prepared prepare(Scenario scenario, PreparedBefore* before = nullptr);

// Of all the devices of a chip: they are alike, but where stages divide them; and what the chip has.
Memory memory_of_chip(const Prepared& prepared);
Memory memory_of_chip(const Scenario& scenario, PreparedBefore* before); // of a training step
Bytes capacity_of(const Chip& chip);

TimedProgram timed_program(const Prepared& prepared, Granularity granularity);

} // namespace podsim
