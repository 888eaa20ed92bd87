#pragma once
// Scenarios that differ in a few values: each is resolved by setting those in the tree of the one before, and read by
// reading the parts that they touch. The same as resolve() and read_scenario() give, mistakes included; a fifth of
// their time.
//
// Why it is the same: a number, flag or text set where no name of the catalogue may stand goes through the resolving
// as it is, to its own path, and nothing is decided by it (plain_change). So of two lists of changes with the same
// paths, whose other changes are alike, the trees differ in these values alone. What a part comes to follows from its
// values and from the parts that were read before it (read_scenario with a `before`).
//
// For one thread; a catalogue's and a user's files are taken not to change meanwhile.

#include "scenarios/scenario.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace podsim {

class Variants {
public:
  explicit Variants(const Catalogue& catalogue) : catalogue_(catalogue) {}

  // It stays until the next call.
  const Document& resolve(const std::string& file, const std::vector<std::string>& changes);

  // Of what was resolved last, once.
  Scenario read();

private:
  struct Tree {
    Document document;
    std::vector<std::string> changes; // as they are set now
    std::set<std::string> touched;    // paths set since it was read
    std::optional<Scenario> scenario;
  };
  using Trees = std::map<std::vector<std::string>, Tree>; // by file and changes, plain ones without their values
  Trees::iterator tree(const std::string& file, const std::vector<std::string>& changes);

  const Catalogue& catalogue_;
  Trees trees_;
  Trees::iterator last_ = trees_.end();
  Document other_; // what was resolved last where it is not kept
};

} // namespace podsim
