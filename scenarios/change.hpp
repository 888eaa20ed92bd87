#pragma once
// A change of a scenario, as of --set: "workload.batch=1024".

#include "scenarios/catalogue.hpp"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace podsim {

// A place in a scenario where a name stands for a file of the catalogue.
struct Slot {
  std::string path;
  Shelf shelf;
  std::string what;
};
const std::vector<Slot>& slots();
bool is_slot(const std::string& path);

std::vector<std::string> keys_on(const std::string& path); // "machine.chip" -> machine, chip
Json* value_at(Json& tree, const std::string& path);       // nullptr: there is none

Json set_value(const std::string& text, const std::string& path); // JSON, or else a text
std::string origin_of(const std::string& change);                 // as Document::origins has it
std::string path_of(const std::string& change);                   // all of it where there is no "="

// Whether it leaves the run as it is (what people call it, where a value comes from) or gives another reading of it (a
// constant, a field of the software), and does not make it another run, of which nothing was published.
bool same_run(const std::string& change);

// A sound change that, whatever its value, only puts it at its path in the resolved tree: a number, a flag or a text
// where no name of the catalogue may stand.
struct PlainChange {
  std::string path;
  Json value;
};
std::optional<PlainChange> plain_change(const std::string& change);

} // namespace podsim
