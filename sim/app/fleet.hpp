#pragma once
// Runs many jobs in processes of their own, some at a time. A process a job: SimGrid allows one engine a process, and
// what crashes, hangs or is killed for its memory takes nothing else with it.
//
// Jobs are numbered; a job returns bytes, which reach the parent through a pipe. Outcomes are delivered one by one as
// they come, in no fixed order: whoever prints them puts them in order first, so that any number of workers gives
// the same bytes.

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace podsim {

enum class JobStatus {
  done,      // `bytes` is what it returned
  failed,    // `message` is what it threw
  crashed,   // it ended by `signal`, or without an answer
  killed,    // by somebody else, as the kernel does where memory runs out
  timed_out, // it was killed
  not_run,   // an interrupt came first
};

struct JobOutcome {
  JobStatus status = JobStatus::not_run;
  std::string bytes, message;
  int signal = 0;
};

// One line on an outcome that is not `done`.
std::string describe(const JobOutcome& outcome);

const char* status_word(JobStatus status); // "done", "failed", "crashed", "killed", "timed out", "interrupted"

// Whether such a word tells of a bug of podsim's.
bool is_bug(const std::string& status_word);

enum class OnInterrupt { kill, finish }; // what is under way at an interrupt

struct FleetOptions {
  int workers = 0;                       // 0: one for each core that this process may use
  std::chrono::milliseconds time_out{0}; // of each job; 0: none
  OnInterrupt on_interrupt = OnInterrupt::kill;
};

// Called in the child. The first time it may simulate in its own process; where that ended with FoldStopped, it is
// called again in another one, which is to leave that to children (sim/engine/simulate.hpp).
using Job     = std::function<std::string(std::size_t index, bool in_process)>;
using Deliver = std::function<void(std::size_t index, JobOutcome outcome)>;

int usable_cores();

// Delivers an outcome for each index below `count`. At a SIGINT, SIGTERM or SIGHUP it starts no more, deals with what
// is under way as the options say, delivers `not_run` for the rest, and returns false. What `deliver` throws ends all
// jobs. Where the system gives no more files or processes, to this process or to a job, it starts no more, delivers
// what is under way, and throws OutOfResources.
bool run_jobs(std::size_t count, const Job& job, const Deliver& deliver, const FleetOptions& options);

} // namespace podsim
