#pragma once
// The JSON files that come with podsim: models, chips, machines, shardings, remats, software and scenarios.

#include <string>
#include <vector>

namespace podsim {

enum class Shelf { models, chips, machines, shardings, remats, software, scenarios };

class Catalogue {
public:
  // `root` holds models/, topologies/ and scenarios/.
  explicit Catalogue(std::string root) : root_(std::move(root)) {}

  // Beside the running program: in share/podsim where it is installed, else in the source tree around the
  // build folder. Throws InputError if there is none.
  static Catalogue beside_program();

  std::vector<std::string> names(Shelf shelf) const; // sorted, without ".json"; scenarios as "training/palm-540b"
  std::string file(Shelf shelf, const std::string& name) const;

  // The file's path from the root, for messages and provenance that do not depend on where podsim lies.
  std::string within(const std::string& file) const;

private:
  std::string root_;
};

} // namespace podsim
