#pragma once
// Runs many jobs in processes of their own, some at a time. What crashes, hangs or is killed for its memory takes
// nothing else with it: a worker lives on from job to job, and a new one takes the place of one that was lost.
//
// Jobs are numbered; a job returns bytes, which reach the parent through a pipe. Outcomes are delivered one by one as
// they come, in no fixed order: whoever prints them puts them in order first, so that any number of workers gives
// the same bytes.

#include "sim/core/status.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace podsim {

struct JobOutcome {
  Status status = Status::interrupted; // of: ok, failed, crashed, killed, timed_out, interrupted
  std::string bytes;                   // what it returned
  std::string message;                 // what it threw
  int signal = 0;                      // that ended its process
};

// One line on an outcome that is not ok.
std::string describe(const JobOutcome& outcome);

enum class OnInterrupt { kill, finish }; // what is under way at an interrupt

struct FleetOptions {
  int workers = 0;                       // 0: one for each core that this process may use
  std::chrono::milliseconds time_out{0}; // of each job; 0: none
  OnInterrupt on_interrupt    = OnInterrupt::kill;
  std::function<void()> quiet = {}; // called where no outcome has come for a tenth of a second
};

using Job     = std::function<std::string(std::size_t index)>; // called in a worker
using Deliver = std::function<void(std::size_t index, JobOutcome outcome)>;

int usable_cores();

// Delivers an outcome for each index below `count`. At a SIGINT, SIGTERM or SIGHUP it starts no more, deals with what
// is under way as the options say, delivers `interrupted` for the rest, and returns false. What `deliver` throws ends
// all jobs. Where the system gives no more files or processes, to this process or to a job, it starts no more, delivers
// what is under way, and throws OutOfResources.
bool run_jobs(std::size_t count, const Job& job, const Deliver& deliver, const FleetOptions& options);

} // namespace podsim
