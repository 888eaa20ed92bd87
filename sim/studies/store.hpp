#pragma once
// The results of a study in an SQLite file, stored at most a tenth of a second after they exist:
//
//     study         one row: name, text (the study's JSON), digest, podsim_version, shard, shards,
//                   left_out (JSON: how many combinations each constraint left out)
//     combinations  number, hash (of the resolved scenario), settings (JSON: axis -> label), mine (0: of another shard)
//     results       sequence, hash, podsim_version, status, reason, figures (JSON: name -> number in base units)
//     rows          a view: each combination of this file's share with its result
//
// A result is known by the scenario's hash and the version of the program: other combinations of the study, or an
// earlier study in the same file, that lead to the same scenario share it. `sequence` is never used twice, so that it
// equals the count exactly when no scenario was ever stored twice.
//
// One process at a time writes; it holds a lock (flock) on the file as long as it has it open. Readers need none.
// Results that come close together are one transaction, since each costs a disk some milliseconds; a process that is
// killed loses the last tenth of a second, and simulates that again.

#include "sim/core/figures.hpp"
#include "sim/core/status.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

struct sqlite3;

namespace podsim {

struct StoredStudy {
  std::string name, text, digest, version;
  int shard = 1, shards = 1;
  std::vector<std::size_t> left_out;
};

struct StoredCombination {
  std::size_t number = 0;
  std::string hash, settings;
  bool mine = true;
};

struct StoredResult {
  Status status;
  std::string reason;
  Figures figures;
};

// What results are kept under: podsim's version, the program's own bytes and SimGrid. Between releases the program
// changes under one version.
std::string results_version();

class Store {
public:
  ~Store();
  Store(Store&&)            = default;
  Store& operator=(Store&&) = default;

  // All members throw InputError for a file that cannot be read or written, saying why.
  static Store to_write(const std::string& file, // made if it is not there; waits some seconds for another writer,
                        const std::function<void(const std::string&)>& tell); // and says so
  static Store to_read(const std::string& file);

  // All that `work` stores, or, where it throws, nothing. Not between add() and settle().
  void together(const std::function<void()>& work);

  // The study that the file is about from now on; results of others stay.
  void begin(const StoredStudy& study, const std::vector<StoredCombination>& combinations);
  void add(const std::string& hash, const std::string& version, const StoredResult& result);
  void settle(); // what was added is in the file: for when nothing more comes soon
  void forget(const std::string& version, const std::vector<Status>& statuses);

  StoredStudy study() const;
  std::optional<std::string> study_name() const;                                 // nothing before the first
  std::vector<StoredCombination> combinations() const;                           // by number
  std::map<std::string, StoredResult> results(const std::string& version) const; // by hash
  std::set<std::string> hashes(const std::string& version) const;                // of those

  // Takes over the results of another file that this one has not.
  void take(const Store& other, const std::string& version);

  const std::string& file() const { return file_; }

private:
  Store(std::string file, const std::function<void(const std::string&)>* tell);
  void check_tables() const;
  void run(const char* statement) const;

  struct Close {
    void operator()(sqlite3* database) const;
  };
  struct Lock; // on the file, for as long as the database is open: closing it earlier would drop SQLite's own locks
  struct Unlock {
    void operator()(Lock* lock) const;
  };
  friend class Statement;
  std::string file_;
  std::unique_ptr<Lock, Unlock> lock_; // before the database, to outlive it
  std::unique_ptr<sqlite3, Close> database_;
  std::optional<std::chrono::steady_clock::time_point> unsettled_; // since when
};

} // namespace podsim
